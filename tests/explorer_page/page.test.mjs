// The page's logic without a browser; test_page_logic.py copies it beside the page's modules and runs it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Newest } from "./newest.js";
import { sentence } from "./notices.js";
import { reachOf } from "./pad.js";
import { Places } from "./places.js";
import { bundled, paged, pointsOf } from "./saving.js";
import { Fault, Away, Server, imageAddress } from "./server.js";
import * as states from "./state.js";
import { Steps } from "./steps.js";

test("words become a sentence, and names stay as they are", () => {
  assert.equal(sentence("this cannot be done"), "This cannot be done.");
  assert.equal(sentence("gone. look"), "Gone. look.");
  assert.equal(sentence("t.safetensors was fitted to latents"), "t.safetensors was fitted to latents.");
  assert.equal(sentence("test:99: there are 9 images!"), "test:99: there are 9 images!");
  assert.equal(sentence(undefined), "");
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

function busyState() {
  let state = states.empty(["test:12", "upload:0123456789abcdef"]);
  state = states.withFocus(state, 1);
  state = states.withSwap(state, "digit", "test:7");
  state = states.withStrength(state, "digit", 0.5);
  state = states.withMove(state, "digit", [1.23456, -0.4]);
  state = states.withResample(state, "a=b & c*d@e#ü/%", 17);
  state = states.withMove(state, "color", [0, -2]);
  state = states.withAttribute(state, "class=cat & dog", -1.5);
  return states.withLock(state, "residual,1", true);
}

test("a state is in its hash, whole, and can be read there", () => {
  const state = busyState();
  const hash = states.toHash(state);
  assert.deepEqual(states.fromHash(hash), state);
  assert.ok(hash.startsWith("#images=test:12,upload:0123456789abcdef&at=1&set.digit=test:7*0.5@1.235,-0.4&set."), hash);
  assert.equal(states.toHash(states.empty()), "");
  // As the browser returns it, and as a person may write it.
  assert.deepEqual(states.fromHash(new URL(`http://127.0.0.1/${hash}`).hash), state);
  assert.deepEqual(states.fromHash("#images=test:1&set.digit=seed:3").changes, { digit: { resample: 3, strength: 1, move: [0, 0] } });
});

test("what cannot be read of a hash is left out", () => {
  for (const hash of ["", "#", "#&&=&x", "#images=", "#set.=test:1", "#set.digit=@1", "#along.x=much", "#%E0%A4%A&at=-3", "#lock="]) {
    assert.deepEqual(states.fromHash(hash), states.empty(), hash);
  }
  assert.equal(states.fromHash("#images=a:1&at=9").at, 0);
  assert.equal(states.fromHash(`#images=${Array.from({ length: 40 }, (_, n) => `test:${n}`).join(",")}`).images.length, states.MOST_IMAGES);
  assert.deepEqual(states.fromHash("#images=a:1,a:2,a:1").images, ["a:1", "a:2"]);
  assert.equal(states.fromHash("#set.x=test:1*7").changes.x.strength, 2);
  assert.deepEqual(states.fromHash("#set.__proto__=seed:1&images=a:1").images, ["a:1"]);
});

test("a request says what a state does, and nothing of what does nothing", () => {
  const body = states.toBody(busyState());
  assert.deepEqual(body.images, ["test:12", "upload:0123456789abcdef"]);
  assert.deepEqual(body.changes[0], { factor: "digit", swap: "test:7", strength: 0.5, move: [1.235, -0.4] });
  assert.deepEqual(body.attributes, { "class=cat & dog": -1.5 });
  const back = states.withMove(states.withMove(states.empty(["a:1"]), "digit", [1, 0]), "digit", [0, 0]);
  assert.deepEqual(states.toBody(back), { images: ["a:1"], changes: [], attributes: {}, locked: [] });
  assert.deepEqual(states.withAttribute(states.withAttribute(back, "x", 1), "x", 0).attributes, {});
});

test("states are never changed, and locked factors stay", () => {
  const state = Object.freeze(states.withLock(busyState(), "digit", true));
  const drawn = states.allResampled(state, ["digit", "color"], () => 0.5);
  assert.deepEqual(drawn.changes.digit, state.changes.digit);
  assert.equal(drawn.changes.color.resample, 5000);
  assert.deepEqual(Object.keys(states.withoutChanges(state).changes), ["digit"]);
  assert.deepEqual(states.withoutSource(state, "digit").changes.digit, { strength: 1, move: [1.235, -0.4] });
  assert.equal(state.changes.color.resample, undefined);
});

test("what a translator does not know is left out of an address of another one", () => {
  const state = states.known(busyState(), ["digit"], []);
  assert.deepEqual([Object.keys(state.changes), state.attributes, state.locks], [["digit"], {}, []]);
  assert.deepEqual(state.images, busyState().images);
});

test("images are added, found again and removed with the focus where one looks", () => {
  let state = states.withImageAdded(states.empty(["a:1"]), "a:2");
  assert.deepEqual([state.images, state.at], [["a:1", "a:2"], 1]);
  assert.equal(states.withImageAdded(state, "a:1").at, 0);
  state = states.withoutImage(state, "a:1");
  assert.deepEqual([state.images, state.at], [["a:2"], 0]);
  assert.equal(states.withoutImage(state, "a:2"), state);
  for (let number = 0; number < 40; number += 1) state = states.withImageAdded(state, `b:${number}`);
  assert.equal(state.images.length, states.MOST_IMAGES);
  assert.equal(state.images.at(-1), "b:39");
});

class FakeHistory {
  constructor() {
    this.entries = [{ state: null, hash: "" }];
    this.at = 0;
  }
  get state() {
    return this.entries[this.at].state;
  }
  pushState(state, _, hash) {
    this.entries = [...this.entries.slice(0, this.at + 1), { state, hash }];
    this.at += 1;
  }
  replaceState(state, _, hash = this.entries[this.at].hash) {
    this.entries[this.at] = { state, hash };
  }
  go(by) {
    this.at += by;
  }
}

test("undo and redo are the browser's back and forward", () => {
  const history = new FakeHistory();
  const seen = [];
  const steps = new Steps(history, () => history.entries[history.at].hash, (hash) => seen.push(hash));
  steps.commit("#0", true);
  assert.deepEqual([steps.canUndo, steps.canRedo], [false, false]);
  for (const hash of ["#1", "#1", "#2"]) steps.commit(hash);
  assert.equal(history.entries.length, 3);
  steps.undo();
  steps.undo(); // pressed again before the browser has gone: once
  steps.moved(history.state);
  assert.deepEqual([seen, steps.canUndo, steps.canRedo], [["#1"], true, true]);
  steps.redo();
  steps.moved(history.state);
  assert.deepEqual([seen, steps.canRedo], [["#1", "#2"], false]);
  steps.undo();
  steps.moved(history.state);
  steps.commit("#3");
  assert.deepEqual([history.entries.map(({ hash }) => hash), steps.canRedo], [["#0", "#1", "#3"], false]);
  // An address written by hand is a step as well.
  history.pushState(null, "", "#hand");
  steps.moved(null);
  assert.deepEqual([seen.at(-1), steps.canUndo, history.state], ["#hand", true, { step: 3 }]);
});

test("a browser that takes no more entries does not stop the page", () => {
  const history = new FakeHistory();
  const steps = new Steps(history, () => "", () => {});
  steps.commit("#0", true);
  history.pushState = () => {
    throw new Error("too many");
  };
  steps.commit("#1");
  assert.equal(steps.canUndo, false);
});

function newest(patience = 1e6) {
  const sent = [];
  const [answers, faults, busy] = [[], [], []];
  const send = (value, number) => new Promise((resolve, reject) => sent.push({ value, number, resolve, reject }));
  const queue = new Newest(send, { onanswer: (answer) => answers.push(answer), onfault: (fault) => faults.push(fault.message),
    onbusy: (is) => busy.push(is), patience });
  return { queue, sent, answers, faults, busy };
}

test("one request is under way and the newest waits", async () => {
  const { queue, sent, answers, busy } = newest();
  for (const value of ["a", "b", "c", "d"]) queue.ask(value);
  assert.deepEqual(sent.map(({ value }) => value), ["a"]);
  sent[0].resolve("A");
  await settled();
  assert.deepEqual(sent.map(({ value, number }) => [value, number]), [["a", 1], ["d", 2]]);
  sent[1].resolve("D");
  await settled();
  assert.deepEqual([answers, busy.at(-1)], [["A", "D"], false]);
});

test("a slow request is not waited for, and its late answer is dropped", async () => {
  const { queue, sent, answers, faults } = newest(5);
  queue.ask("slow");
  await new Promise((resolve) => setTimeout(resolve, 20));
  queue.ask("new");
  assert.deepEqual(sent.map(({ value }) => value), ["slow", "new"]);
  sent[1].resolve("NEW");
  await settled();
  sent[0].resolve("SLOW");
  await settled();
  queue.ask("next");
  sent[2].reject(new Error("broken"));
  await settled();
  assert.deepEqual([answers, faults], [["NEW"], ["broken"]]);
});

test("the fault of a request that a newer one has replaced is not told", async () => {
  const { queue, sent, faults } = newest(5);
  queue.ask("slow");
  await new Promise((resolve) => setTimeout(resolve, 20));
  queue.ask("new");
  sent[0].reject(new Error("superseded"));
  sent[1].resolve("NEW");
  await settled();
  assert.deepEqual(faults, []);
});

test("the server's refusals and silence are told apart", async () => {
  const answering = (status, text) => new Server("tab", async () => ({ ok: status < 400, status, json: async () => JSON.parse(text) }));
  const refused = answering(413, '{"error": {"what": "too large", "why": "50 MiB", "fix": "smaller"}}').upload(null);
  await assert.rejects(refused, (error) => error instanceof Fault && error.status === 413 && error.fix === "smaller");
  await assert.rejects(answering(500, "<html>").health(), (error) => error instanceof Fault && error.why.includes("500"));
  await assert.rejects(answering(200, "<html>").health(), Fault);
  const silent = new Server("tab", async () => {
    throw new TypeError("failed to fetch");
  });
  await assert.rejects(silent.edit({}, 1), Away);
  assert.equal(imageAddress("test:12/?"), "/api/image/test:12%2F%3F");
});

test("a place is the server's place of the source and the move that was added since", () => {
  const places = new Places();
  const image = "test:1";
  places.keep(image, { digit: [0.5, -0.5] });
  let state = states.withMove(states.empty([image]), "digit", places.moveTo(image, "digit", [1, 1]));
  assert.deepEqual(states.changeOf(state, "digit").move, [0.5, 1.5]);
  assert.deepEqual(places.of(image, "digit", state), { origin: [0.5, -0.5], at: [1, 1] });
  // Swapped: the server alone knows where that is.
  state = states.withSwap(state, "digit", "test:9");
  places.learn({ id: image, factors: { digit: [2, 0] } }, states.toBody(state));
  state = states.withMove(state, "digit", [0, 1]);
  assert.deepEqual(places.of(image, "digit", state), { origin: [0.5, -0.5], at: [2, 1] });
  assert.deepEqual(places.moveTo(image, "digit", [3, 3]), [1, 3]);
  // And put back, it lies where it lay, without asking.
  state = states.withoutChange(state, "digit");
  assert.deepEqual(places.of(image, "digit", state).at, [0.5, -0.5]);
  assert.deepEqual(places.of("test:unknown", "digit", state), { origin: null, at: null });
});

test("attributes move no locked factor, and the others to where the server alone knows", () => {
  const places = new Places();
  const image = "test:1";
  places.keep(image, { digit: [0.5, -0.5], color: [1, 1] });
  let state = states.withLock(states.withAttribute(states.empty([image]), "Smiling", 1), "digit", true);
  assert.deepEqual(states.toBody(state).locked, ["digit"]);
  places.learn({ id: image, factors: { digit: [0.5, -0.5], color: [3, 1] } }, states.toBody(state));
  state = states.withAttribute(state, "Smiling", 2);
  assert.deepEqual(places.of(image, "digit", states.withMove(state, "digit", [1, 0])).at, [1.5, -0.5]);
  assert.deepEqual(places.of(image, "color", state).at, [3, 1]);
  // Without attributes both lie where they lay, the free one too.
  const without = states.withAttribute(state, "Smiling", 0);
  assert.deepEqual(["digit", "color"].map((name) => places.of(image, name, without).at), [[0.5, -0.5], [1, 1]]);
});

test("a pad reaches over its dots and at least three standard deviations", () => {
  assert.equal(reachOf([]), 3);
  assert.ok(reachOf(Array.from({ length: 100 }, () => [0, 4])) > 4);
  assert.equal(reachOf([...Array.from({ length: 400 }, () => [0, 1]), [90, 0]]), 3);
});

test("a saved grid has the prior's mean, and no more places than the server takes", () => {
  for (const [dim, most, count] of [[4, 64, 49], [4, 30, 25], [1, 64, 31]]) {
    const points = pointsOf({ dim, spread: [[1, 1]] }, most);
    assert.equal(points.length, count);
    assert.ok(points.some(([x, y]) => x === 0 && y === 0));
  }
});

test("a saved page's names end no script, and its modules need no others", () => {
  const script = bundled(['import { a } from "./a.js";\nimport {\n  b,\n} from "./b.js";\nexport const c = "</script>";\nexport class D {}\n']);
  assert.equal(script, 'const c = "</script>";\nclass D {}\n');
  const page = paged({ name: "</title><script>alert(1)</script>", text: "</script><!--" }, { style: "", script });
  assert.equal(page.match(/<script/g).length, 2);
  assert.equal(page.match(/<\/script>/g).length, 2);
  assert.ok(!page.includes("<!--"));
});
