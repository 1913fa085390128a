// The explorer in a notebook: a picture, and for each factor a pad, a source and its strength. The kernel answers.

import { makeGauge, showBars, showGauge } from "./answers.js";
import { el, icon } from "./elements.js";
import { Newest } from "./newest.js";
import { Pad } from "./pad.js";
import { Places } from "./places.js";
import * as states from "./state.js";

class Widget {
  constructor(model, place) {
    this.translator = model.get("translator");
    this.image = model.get("image");
    this.shelf = model.get("shelf");
    this.state = states.empty([this.image]);
    this.places = new Places();
    this.newest = new Newest(asking(model), {
      onanswer: (reply, body) => this.answered(reply, body),
      onfault: (error) => (this.said.textContent = error.message),
      patience: Infinity,
    });
    this.before = el("img", { class: "picture", alt: "Before" });
    this.after = el("img", { class: "picture", alt: "After" });
    this.afterWord = el("span", { class: "soft" }, "After");
    this.gauge = makeGauge();
    this.bars = el("ul", { class: "bars" });
    this.said = el("p", { class: "soft", role: "status" });
    this.pads = new Map();
    this.sources = new Map();
    const figure = this.translator.answer === "latents" ? null : el("div", { class: "pair" },
      el("div", { class: "before" }, this.before, el("span", { class: "soft" }, "Before")),
      el("span", { class: "to" }, icon("arrow")), el("div", { class: "after" }, this.after, this.afterWord));
    const pixelated = (this.translator.image_size ?? 0) <= 64 ? " pixelated" : "";
    place.append(el("div", { class: `notebook${pixelated}` }, el("div", { class: "shown" }, figure, this.gauge.element, this.bars, this.said),
      el("div", { class: "cards" }, this.translator.factors.map((factor, number) => this.#card(factor, number)))));
    this.act(this.state);
  }

  #card(factor, number) {
    const { name } = factor;
    const canvas = el("canvas", { class: "pad" });
    const button = (word, act) => el("button", { type: "button", "aria-label": `${word} ${name}`, onclick: act }, word);
    const card = el("div", { class: "card", role: "group", "aria-label": `Factor ${name}`, "data-factor": name },
      el("div", { class: "names" }, el("b", {}, name), el("span", { class: "soft" }, String(factor.dim))), canvas,
      el("div", { class: "buttons" }, button("Resample", () => this.act(states.withResample(this.state, name, states.newSeed()))),
        button("Put back", () => this.act(states.withoutChange(this.state, name)))));
    card.querySelector("canvas").after(...this.#source(name));
    card.style.setProperty("--factor", `var(--hue-${number % 7})`);
    this.pads.set(name, new Pad(canvas, { name, flat: factor.dim === 1, dots: factor.spread ?? [],
      onmove: (place) => this.act(states.withMove(this.state, name, this.places.moveTo(this.image, name, place))) }));
    return card;
  }

  // Where a factor is taken from, and how far it goes there.
  #source(name) {
    const choice = el("select", { "aria-label": `Take ${name} from`, onchange: () => this.act(this.#taken(name, choice.value)) });
    const strength = el("input", { type: "range", min: 0, max: states.MOST_STRENGTH, step: 0.01, "aria-label": `Strength of ${name}`,
      oninput: () => this.act(states.withStrength(this.state, name, Number(strength.value))) });
    const amount = el("output", { class: "number" });
    const row = el("label", { class: "strength" }, el("span", {}, "Strength"), strength, amount);
    this.sources.set(name, { choice, strength, amount, row });
    return [choice, row];
  }

  #taken(name, image) {
    return image ? states.withSwap(this.state, name, image) : states.withoutSource(this.state, name);
  }

  #showSource(name) {
    const { choice, strength, amount, row } = this.sources.get(name);
    const change = states.changeOf(this.state, name);
    const drawn = change.resample === undefined ? [] : [{ id: `seed ${change.resample}`, label: `Drawn by seed ${change.resample}` }];
    const key = JSON.stringify(drawn);
    if (choice.dataset.key !== key) {
      choice.dataset.key = key;
      choice.replaceChildren(el("option", { value: "" }, "Its own"), ...[...drawn, ...this.shelf].map(({ id, label }) =>
        el("option", { value: id, disabled: id === drawn[0]?.id }, label)));
    }
    choice.value = change.swap ?? drawn[0]?.id ?? "";
    strength.value = change.strength;
    strength.disabled = !states.hasSource(change);
    row.classList.toggle("idle", strength.disabled);
    amount.textContent = change.strength.toFixed(2);
  }

  act(state) {
    this.state = state;
    this.show();
    this.newest.ask(states.toBody(state));
  }

  show() {
    for (const [name, pad] of this.pads) {
      const { origin, at } = this.places.of(this.image, name, this.state);
      pad.show({ origin, at: pad.isHeld ? pad.at : at });
      this.#showSource(name);
    }
  }

  answered({ images: [image], pictures }, body) {
    this.places.learn(image, body);
    this.show();
    const near = image.nearest?.[0];
    const [before, after] = [image.before ?? pictures[image.id], image.picture ?? pictures[near?.id]];
    if (before) this.before.src = before;
    if (after) this.after.src = after;
    this.afterWord.textContent = near ? `Nearest real image${near.label ? `: ${near.label}` : ""}` : "After";
    this.bars.hidden = !image.answers?.length;
    if (image.answers?.length) showBars(this.bars, image.answers);
    showGauge(this.gauge, image.likely);
    this.said.textContent = "";
  }
}

// Several views of one model hear each other's answers, and tell them apart by a mark.
function asking(model) {
  const mark = Math.random().toString(36).slice(2);
  const open = new Map();
  model.on("msg:custom", ({ view, number, reply, fault }) => {
    if (view !== mark || !open.has(number)) return;
    const { resolve, reject } = open.get(number);
    open.delete(number);
    if (fault) reject(new Error(fault));
    else resolve(reply);
  });
  return (body, number) => new Promise((resolve, reject) => {
    open.set(number, { resolve, reject });
    model.send({ view: mark, number, body });
  });
}

export function renderWidget({ model, el: place }) {
  // The notebook's styles and these do not meet.
  const shadow = place.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(model.get("sheet").replaceAll(":root", ":host"));
  shadow.adoptedStyleSheets = [sheet];
  new Widget(model, shadow);
}
