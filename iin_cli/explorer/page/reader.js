// What a saved page does by itself: each pad moves in steps over pictures that the file holds.

import { makeGauge, showBars, showGauge } from "./answers.js";
import { el, icon, percent } from "./elements.js";
import { Pad } from "./pad.js";

class Reader {
  constructor(facts) {
    this.facts = facts;
    this.pads = [];
    const { image } = facts;
    this.before = el("img", { class: "picture", alt: `${image.label}, before`, src: image.before ?? facts.pictures[image.id] ?? "" });
    this.after = el("img", { class: "picture", alt: "" });
    this.afterWord = el("span", { class: "soft" });
    this.bars = el("ul", { class: "bars" });
    this.gauge = makeGauge();
    this.said = el("p", { class: "unseen", role: "status", "aria-live": "polite" });
    document.body.append(this.#head(), el("main", {}, this.#stage(), this.#cards(), this.#answers()), this.said);
    document.body.classList.add(facts.answer);
    this.rest();
  }

  #head() {
    const { name, network, data, date } = this.facts;
    const about = [network, data?.name, `saved on ${date}`].filter(Boolean).join(" · ");
    return el("header", { id: "head" }, el("h1", {}, name, " ", el("small", {}, about)));
  }

  #stage() {
    const { image, answer, size } = this.facts;
    const isLatents = answer === "latents";
    const pair = isLatents ? null : el("div", { class: "pair" },
      el("div", { class: "before" }, this.before, el("span", { class: "soft" }, "Before")),
      el("span", { class: "to" }, icon("arrow")),
      el("div", { class: "after" }, this.after, this.afterWord));
    const row = el("ul", { class: `row single${size <= 64 ? " pixelated" : ""}` },
      el("li", { class: "figure" }, el("p", { class: "caption" }, el("b", {}, image.label)), pair));
    return el("section", { id: "stage", "aria-label": "Before and after" }, row);
  }

  #cards() {
    const section = el("section", { id: "cards", "aria-label": "Factors" },
      el("div", { class: "over-cards" }, el("p", { class: "soft" }, "Drag a handle: one factor moves at a time, in steps."),
        el("button", { type: "button", onclick: () => this.rest() }, icon("reset"), "Put back")));
    for (const [number, factor] of this.facts.factors.entries()) {
      const canvas = el("canvas", { class: "pad" });
      const card = el("article", { class: "card", "aria-label": `Factor ${factor.name}` },
        el("header", {}, el("div", { class: "title" },
          el("div", { class: "names" }, el("h2", {}, factor.name),
            el("span", { class: "soft" }, `${factor.dim} ${factor.dim === 1 ? "dimension" : "dimensions"}`)),
          factor.verdict && el("p", { class: "verdict", title: factor.verdict }, factor.verdict))),
        canvas);
      card.style.setProperty("--factor", `var(--hue-${number % 7})`);
      section.append(card);
      this.pads.push(this.#pad(canvas, factor));
    }
    return section;
  }

  #pad(canvas, factor) {
    const places = [...factor.grid, factor.at];
    const apart = Math.abs(factor.grid[1][0] - factor.grid[0][0]);
    const pad = new Pad(canvas, {
      name: factor.name, flat: factor.dim === 1, dots: factor.spread ?? [],
      snap: (place) => places[nearestTo(place, places)],
      onmove: (place) => this.moved(factor, places.indexOf(place)),
    });
    pad.stepOf = (step) => (step > 0.2 ? 2 : 1) * apart;
    return pad;
  }

  #answers() {
    const { command } = this.facts.image;
    return el("section", { id: "answers", "aria-label": "Answers" },
      el("div", { class: "panel" }, this.gauge.element, this.bars),
      command && el("div", { class: "panel command" }, el("p", { class: "soft" }, "The same by a command"), el("pre", {}, el("code", {}, command))));
  }

  // The edit as it was saved.
  rest(except = null) {
    const { facts } = this;
    for (const [number, factor] of facts.factors.entries()) {
      if (factor !== except) this.pads[number].show({ origin: factor.origin, at: factor.at });
    }
    if (except === null) this.#show({ picture: facts.image.picture, near: facts.image.nearest?.[0], answers: facts.image.answers, likely: facts.image.likely });
  }

  moved(factor, step) {
    this.rest(factor);
    if (step === factor.grid.length) return this.rest();
    const { image, classes } = this.facts;
    const shares = factor.answers?.[step];
    const answers = image.answers?.map((each) => ({ ...each, low: null, high: null, after: shares?.[classes.indexOf(each.name)] ?? each.after }));
    this.#show({ picture: factor.pictures?.[step], near: factor.nearest?.[step]?.[0], answers, likely: null });
    const most = [...(answers ?? [])].sort((a, b) => b.after - a.after)[0];
    if (most) this.said.textContent = `${most.name} ${percent(most.after)}`;
    return null;
  }

  #show({ picture, near, answers, likely }) {
    const source = picture ?? this.facts.pictures[near?.id];
    if (source) this.after.src = source;
    this.after.alt = near ? `Nearest real image: ${near.label ?? near.id}` : "After";
    this.afterWord.textContent = near ? `Nearest real image: ${near.label ?? near.id}` : "After";
    this.bars.hidden = !answers?.length;
    if (answers?.length) showBars(this.bars, answers);
    this.gauge.element.classList.toggle("unknown", !likely);
    showGauge(this.gauge, likely);
  }
}

function nearestTo([x, y], places) {
  let best = 0;
  for (const [number, [left, low]] of places.entries()) {
    if (Math.hypot(x - left, y - low) < Math.hypot(x - places[best][0], y - places[best][1])) best = number;
  }
  return best;
}

new Reader(JSON.parse(document.getElementById("facts").textContent));
