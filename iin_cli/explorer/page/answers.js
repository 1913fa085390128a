// What the network says before and after, how likely the edited latents are, and the attributes' sliders.

import { el, iconButton, percent } from "./elements.js";

// More sliders than this are folded away at first.
const FEW = 6;

export class Answers {
  // `attribute(name, amount, isDone)` is called as a slider moves.
  constructor(section, { attribute }) {
    this.attribute = attribute;
    this.gauge = makeGauge();
    this.heading = el("h2", { id: "answers-title", class: "unseen" }, "How likely it is");
    this.bars = el("ul", { class: "bars" });
    this.key = el("p", { class: "soft key" }, el("i", { class: "mark before" }), "before", el("i", { class: "mark after" }), "after",
      el("span", { class: "of-band" }, el("i", { class: "mark band" }), "random changes of the same size"));
    this.sliders = new Map();
    this.attributes = el("details", { class: "attributes" });
    section.append(this.heading, el("div", { class: "panel" }, this.gauge.element, this.bars, this.key), this.attributes);
    this.bars.hidden = this.key.hidden = true;
  }

  open({ attributes }) {
    this.attributes.hidden = !attributes.length;
    this.attributes.open = attributes.length <= FEW;
    this.attributes.append(el("summary", {}, "Attributes ", el("span", { class: "soft" }, `${attributes.length}`)),
      el("div", { class: "sliders" }, attributes.map((each) => this.#slider(each))));
  }

  #slider({ name, low, high }) {
    const value = el("output", { class: "number" }, "0.00");
    const input = el("input", {
      type: "range", min: low, max: high, step: 0.05, value: 0,
      oninput: () => this.attribute(name, Number(input.value), false),
      onchange: () => this.attribute(name, Number(input.value), true),
    });
    const reset = iconButton("reset", `No ${name} added`, () => this.attribute(name, 0, true), { class: "quiet small" });
    this.sliders.set(name, { input, value, reset });
    return el("div", { class: "slider" }, el("label", {}, el("span", { title: name }, name), input), value, reset);
  }

  showState(state) {
    for (const [name, { input, value, reset }] of this.sliders) {
      const amount = state.attributes[name] ?? 0;
      input.value = amount;
      if (amount !== 0) this.attributes.open = true;
      value.textContent = amount.toFixed(2);
      reset.disabled = amount === 0;
    }
  }

  show({ answers, likely }) {
    showGauge(this.gauge, likely);
    this.bars.hidden = this.key.hidden = !answers?.length;
    this.heading.textContent = answers?.length ? "What the network says" : "How likely it is";
    this.heading.classList.toggle("unseen", !answers?.length);
    if (answers?.length) showBars(this.bars, answers);
    this.key.lastChild.hidden = !answers?.some(({ low }) => low !== null);
  }
}

export function makeGauge() {
  const fill = el("span", { class: "fill" });
  const track = el("div", { class: "track", role: "meter", "aria-label": "As likely as this share of real images",
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, fill);
  const words = el("p", {}, "As likely as ", el("strong", {}, "–"), " of real images");
  return { element: el("div", { class: "gauge" }, words, track), track, fill, words };
}

// Without real images to compare with there is the likelihood itself.
export function showGauge({ track, fill, words }, likely) {
  const known = likely && likely.percent !== null && likely.percent !== undefined;
  const value = known ? likely.percent : 0;
  const nats = likely?.nll === null || likely?.nll === undefined ? "" : `${likely.nll.toFixed(1)} nats`;
  words.replaceChildren(...(known ? ["As likely as ", el("strong", {}, percent(value / 100)), " of real images"]
    : ["−log p ", el("strong", {}, nats || "unknown")]));
  track.hidden = !known;
  track.setAttribute("aria-valuenow", value.toFixed(0));
  track.setAttribute("aria-valuetext", known ? `${value.toFixed(0)} percent` : "unknown");
  track.classList.toggle("rare", known && value < 1);
  track.title = nats;
  fill.style.setProperty("inline-size", `${value}%`);
}

export function showBars(list, answers) {
  const held = [...list.children];
  for (const [number, { name, before, after, low, high }] of answers.entries()) {
    const row = held[number] ?? list.appendChild(makeBar());
    const [label, track, words] = row.children;
    label.textContent = label.title = name;
    const [band, old, now] = track.children;
    band.hidden = low === null || low === undefined;
    band.style.setProperty("inset-inline-start", `${100 * (low ?? 0)}%`);
    band.style.setProperty("inline-size", `${100 * Math.max((high ?? 0) - (low ?? 0), 0.004)}%`);
    old.style.setProperty("inset-inline-start", `${100 * before}%`);
    now.style.setProperty("inline-size", `${100 * after}%`);
    words.textContent = percent(after);
    const gone = percent(before) === percent(after) ? "" : ` was ${percent(before)}`;
    words.title = `before ${percent(before)}, after ${percent(after)}`
      + (band.hidden ? "" : `; random changes of the same size: ${percent(low)} to ${percent(high)}`);
    words.append(el("small", {}, gone));
  }
  for (const row of held.slice(answers.length)) row.remove();
}

function makeBar() {
  const track = el("div", { class: "track", "aria-hidden": "true" }, el("span", { class: "band" }), el("span", { class: "old" }),
    el("span", { class: "now" }));
  return el("li", {}, el("span", { class: "label" }), track, el("span", { class: "words" }));
}
