// The explorer in a notebook: a picture, and a pad for each factor. The kernel answers instead of a server.

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
    card.style.setProperty("--factor", `var(--hue-${number % 7})`);
    this.pads.set(name, new Pad(canvas, { name, flat: factor.dim === 1, dots: factor.spread ?? [],
      onmove: (place) => this.act(states.withMove(this.state, name, this.places.moveTo(this.image, name, place))) }));
    return card;
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
