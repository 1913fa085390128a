// The page: one state, what shows it, and what changes it.

import { Answers } from "./answers.js";
import { Card } from "./card.js";
import { el, icon, iconButton, percent } from "./elements.js";
import { listen, showKeys } from "./keys.js";
import { Newest } from "./newest.js";
import { Notices } from "./notices.js";
import { Places } from "./places.js";
import { saved } from "./saving.js";
import { Server } from "./server.js";
import { Shelf } from "./shelf.js";
import { Stage } from "./stage.js";
import * as states from "./state.js";
import { Steps } from "./steps.js";

const WATCH = 30000;

class Page {
  constructor() {
    const at = (id) => document.getElementById(id);
    this.state = states.fromHash(location.hash);
    this.translator = null;
    this.reply = null;
    this.purpose = null;
    this.places = new Places();
    this.labels = new Map();
    this.server = new Server(Array.from(crypto.getRandomValues(new Uint32Array(2)), (n) => n.toString(36)).join(""));
    this.notices = new Notices(at("bars"), at("said"), { health: () => this.server.health(), onback: () => this.back(),
      command: () => this.translator?.command });
    this.newest = new Newest((body, number) => this.server.edit(body, number), {
      onanswer: (reply, body, number) => this.answered(reply, body, number),
      onfault: (error) => this.failed(error),
      onbusy: (isBusy) => document.documentElement.toggleAttribute("data-busy", isBusy),
    });
    this.stage = new Stage(at("stage"), { focus: (id) => this.commit(states.withFocus(this.state, this.state.images.indexOf(id))),
      remove: (id) => this.commit(states.withoutImage(this.state, id)), add: () => this.aim({ add: true }) });
    this.answers = new Answers(at("answers"), { attribute: (name, amount, isDone) => this.step(states.withAttribute(this.state, name, amount), isDone) });
    this.shelf = new Shelf(at("shelf"), { list: (offset, n) => this.list(offset, n), choose: (id) => this.choose(id),
      files: (files) => this.take(files), cancel: () => this.aim(null) });
    this.cards = new Map();
    this.makeTools(at("tools"));
    this.steps = new Steps(history, () => location.hash, (hash) => this.go(states.fromHash(hash)));
    addEventListener("popstate", (event) => this.steps.moved(event.state));
    this.takeDrops();
    listen({ undo: () => this.steps.undo(), redo: () => this.steps.redo(), resample: () => this.resampleAll(),
      reset: () => this.commit(states.withoutChanges(this.state)), copy: () => this.copy(), save: () => this.save(),
      images: () => this.shelf.focus(), help: showKeys, cancel: () => this.aim(null) });
  }

  makeTools(bar) {
    const word = (name, text, act) => el("button", { type: "button", "aria-label": text, title: text, onclick: act }, icon(name), el("span", {}, text));
    this.undo = iconButton("undo", "Undo (Z)", () => this.steps.undo());
    this.redo = iconButton("redo", "Redo (Shift Z)", () => this.steps.redo());
    this.copying = word("copy", "Copy the command", () => this.copy());
    this.saving = word("save", "Save page", () => this.save());
    bar.append(this.undo, this.redo, this.copying, this.saving, iconButton("help", "Keys (?)", showKeys));
  }

  async open() {
    try {
      this.translator = await this.server.translator();
    } catch (error) {
      return this.notices.fault(error);
    }
    const { name, data, network, factors, missing } = this.translator;
    document.getElementById("name").textContent = name;
    document.getElementById("about").textContent = [network, data && `${data.name.split("/").at(-1)}, ${data.count.toLocaleString("en")} images`].filter(Boolean).join(" · ");
    document.title = `${name} · iin explore`;
    if (this.translator.answer === "latents") {
      this.notices.bar("latents", "told", "This translator knows latents alone: there is no network to draw pictures or to answer. "
        + "Places, sizes and how likely an edit is are all here.");
    } else if (missing) this.notices.bar("missing", "told", missing);
    document.body.classList.add(this.translator.answer);
    this.shelf.hasPictures = this.translator.answer !== "latents";
    this.shelf.purpose(null);
    this.stage.open(this.translator);
    this.answers.open(this.translator);
    this.makeCards(factors);
    return this.begin();
  }

  async begin() {
    let items = [];
    try {
      items = await this.shelf.load();
    } catch (error) {
      this.notices.fault(error);
    }
    if (!this.state.images.length && items?.length) this.state = states.withImage(this.state, items[0].id);
    this.state = this.known(this.state);
    for (const id of [...this.state.images, ...Object.values(this.state.changes).map((change) => change.swap)]) {
      if (id?.startsWith("upload:")) this.shelf.add(id, "Your image", true);
    }
    this.steps.commit(states.toHash(this.state), true);
    this.show();
    this.ask();
    setInterval(() => document.visibilityState === "visible" && this.watch(), WATCH);
  }

  makeCards(factors) {
    const section = document.getElementById("cards");
    const acts = {
      hasPictures: this.shelf.hasPictures,
      move: (name, place) => this.step(states.withMove(this.state, name, this.places.moveTo(this.focus, name, place)), false),
      moved: () => this.commit(this.state),
      resample: (name) => this.commit(states.withResample(this.state, name, states.newSeed())),
      strength: (name, strength, isDone) => this.step(states.withStrength(this.state, name, strength), isDone),
      choose: (name) => this.aim(this.purpose?.factor === name ? null : { factor: name }),
      drop: (name, data) => this.dropped(data, { factor: name }),
      forget: (name) => this.commit(states.withoutSource(this.state, name)),
      reset: (name) => this.commit(states.withoutChange(this.state, name)),
      lock: (name) => this.commit(states.withLock(this.state, name, !this.state.locks.includes(name))),
    };
    section.append(
      el("div", { class: "over-cards" }, el("h2", { id: "cards-title" }, "Factors"),
        el("button", { type: "button", title: "Draw every factor anew that is not locked (R)", onclick: () => this.resampleAll() }, icon("dice"), "Resample all"),
        el("button", { type: "button", title: "Put all back that is not locked (0)", onclick: () => this.commit(states.withoutChanges(this.state)) },
          icon("reset"), "Put all back")));
    for (const [number, factor] of factors.entries()) {
      const card = new Card(factor, number, acts);
      this.cards.set(factor.name, card);
      section.append(card.element);
    }
  }

  get focus() {
    return this.state.images[this.state.at];
  }

  known(state) {
    if (this.translator === null) return state;
    const { factors, attributes } = this.translator;
    return states.known(state, factors.map(({ name }) => name), attributes.map(({ name }) => name));
  }

  labelOf(id) {
    return this.shelf.items.get(id) ?? this.labels.get(id) ?? id;
  }

  // On the way to a step: shown and asked, and not yet in the address.
  step(state, isDone) {
    if (isDone) {
      this.commit(state);
      return;
    }
    this.state = state;
    // Asked first: while the server computes, the page is drawn.
    this.ask();
    this.show();
  }

  commit(state) {
    const isSame = states.toHash(state) === states.toHash(this.state);
    this.state = state;
    this.steps.commit(states.toHash(state));
    if (!isSame) this.ask();
    this.show();
  }

  go(state) {
    // An address without images changes the factors of those that are here.
    this.state = this.known(state.images.length ? state : { ...state, images: this.state.images, at: this.state.at });
    this.show();
    this.ask();
  }

  ask() {
    if (this.translator !== null && this.state.images.length && !this.notices.isAway) this.newest.ask(states.toBody(this.state));
  }

  back() {
    if (this.translator === null) location.reload();
    else if (!this.shelf.loaded) this.begin();
    else this.ask();
  }

  async watch() {
    try {
      const { changed } = await this.server.health();
      // Once: whoever has closed the bar has read it.
      if (changed && changed !== this.changed) this.notices.bar("changed", "told", changed);
      this.changed = changed;
    } catch (error) {
      this.notices.fault(error);
    }
  }

  async answered(reply, body, number) {
    this.reply = reply;
    for (const image of reply.images) {
      this.places.learn(image, body);
      if (image.label) this.labels.set(image.id, image.label);
    }
    const seen = this.stage.show(reply.images, (id) => this.labelOf(id));
    this.notices.close("fault");
    this.show();
    await seen;
    // After the frame that shows it has been drawn.
    const shown = new CustomEvent("iin:shown", { detail: { number, milliseconds: reply.milliseconds } });
    requestAnimationFrame(() => setTimeout(() => document.dispatchEvent(shown)));
    this.notices.say(this.words());
  }

  failed(error) {
    this.notices.fault(error);
  }

  // What has come of it, to be read out.
  words() {
    const image = this.shownImage();
    if (!image) return "";
    const most = [...(image.answers ?? [])].sort((a, b) => b.after - a.after)[0];
    const answer = most ? `${most.name} ${percent(most.after)}, was ${percent(most.before)}. ` : "";
    const read = image.predicted && image.predicted.before !== image.predicted.after
      ? `Read as ${image.predicted.after} instead of ${image.predicted.before}. ` : "";
    const likely = image.likely?.percent;
    return `${read}${answer}${likely === null || likely === undefined ? "" : `As likely as ${percent(likely / 100)} of real images.`}`;
  }

  shownImage() {
    return this.reply?.images.find((image) => image.id === this.focus);
  }

  show() {
    if (this.translator === null) return;
    const { state } = this;
    this.undo.disabled = !this.steps.canUndo;
    this.redo.disabled = !this.steps.canRedo;
    this.stage.arrange(state, (id) => this.labelOf(id));
    this.shelf.mark(state.images);
    this.answers.showState(state);
    const image = this.shownImage();
    if (image) this.answers.show(image);
    this.copying.disabled = this.saving.disabled = !image;
    for (const [name, card] of this.cards) {
      const { origin, at } = this.places.of(this.focus, name, state);
      const { swap } = states.changeOf(state, name);
      card.show(state, { origin, at, isChoosing: this.purpose?.factor === name, label: swap && this.labelOf(swap) });
    }
    document.body.classList.toggle("choosing", this.purpose !== null);
  }

  async list(offset, n) {
    const found = await this.server.shelf(offset, n);
    for (const { id, factors } of found.items) this.places.keep(id, factors);
    return found;
  }

  // What the next image that is chosen is for.
  aim(purpose) {
    if (purpose === null && this.purpose === null) return;
    const back = this.purpose?.factor && purpose === null ? this.cards.get(this.purpose.factor)?.slot : null;
    this.purpose = purpose;
    this.show();
    this.shelf.purpose(purpose);
    back?.focus();
  }

  choose(id, purpose = this.purpose) {
    const next = purpose?.factor ? states.withSwap(this.state, purpose.factor, id)
      : purpose?.add ? states.withImageAdded(this.state, id) : states.withImage(this.state, id);
    this.commit(next);
    this.aim(null);
  }

  resampleAll() {
    this.commit(states.allResampled(this.state, [...this.cards.keys()]));
  }

  takeDrops() {
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.dropped(event.dataTransfer, event.target.closest?.("#stage") && this.state.images.length ? { add: event.shiftKey } : null);
    });
  }

  dropped(data, purpose) {
    const id = data.getData("text/x-iin-image");
    if (id) this.choose(id, purpose);
    else if (data.files.length) this.take([...data.files], purpose);
  }

  // Files of the user: sent, put on the shelf, and used for what was meant.
  async take(files, purpose = this.purpose) {
    let next = purpose;
    for (const file of files.slice(0, states.MOST_IMAGES)) {
      const most = this.translator?.limits.bytes ?? Infinity;
      if (file.size >= most) {
        this.notices.bar("fault", "fault", el("strong", {}, "The image cannot be taken."), ` ${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MiB; `
          + `it must be below ${(most / 2 ** 20).toFixed(0)}.`);
        continue;
      }
      try {
        const { id } = await this.server.upload(file);
        this.shelf.add(id, file.name, true);
        this.choose(id, next);
        if (!next?.factor) next = { add: true };
      } catch (error) {
        this.notices.fault(error);
      }
    }
  }

  async copy() {
    const image = this.shownImage();
    if (!image) return;
    try {
      await navigator.clipboard.writeText(image.command);
      this.notices.tell(el("span", {}, "Copied: ", el("code", {}, image.command)));
    } catch {
      // Without the right to the clipboard the line is there to be taken by hand.
      this.notices.bar("told", "told", el("span", {}, "Copy this line: ", el("code", {}, image.command)));
    }
  }

  async save() {
    const image = this.shownImage();
    if (!image || this.saving.disabled) return;
    this.saving.disabled = true;
    const say = (words) => this.notices.bar("saving", "told", words);
    try {
      const { translator, server, state, places } = this;
      const page = await saved({ translator, server, state, places, image, labelOf: (id) => this.labelOf(id), say });
      const address = URL.createObjectURL(new Blob([page], { type: "text/html" }));
      el("a", { href: address, download: `${translator.name}-${this.focus.replace(/\W+/g, "-")}.html` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
      this.notices.close("saving");
      this.notices.tell(`Saved: one file of ${(page.length / 2 ** 20).toFixed(1)} MiB that needs no server.`);
    } catch (error) {
      this.notices.close("saving");
      this.notices.fault(error);
    } finally {
      this.saving.disabled = false;
    }
  }
}

new Page().open();
