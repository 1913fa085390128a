// One factor: what it is, where it lies, and what is done to it.

import { el, icon, iconButton, percent } from "./elements.js";
import { Pad } from "./pad.js";
import { changeOf, doesNothing, hasSource, MOST_STRENGTH } from "./state.js";
import { thumb } from "./thumb.js";

export class Card {
  // `acts`: what the page does of it: move, moved, resample, choose, drop, strength, forget, reset, lock.
  constructor(factor, number, acts) {
    this.factor = factor;
    this.acts = acts;
    const { name } = factor;
    const canvas = el("canvas", { class: "pad" });
    this.lock = iconButton("open", `Lock ${name}`, () => acts.lock(name), { "aria-pressed": "false" });
    this.reset = iconButton("reset", `Put ${name} back`, () => acts.reset(name));
    this.slot = el("button", { type: "button", class: "slot", onclick: () => acts.choose(name) });
    this.forget = iconButton("clear", `Take nothing for ${name}`, () => acts.forget(name));
    this.resample = el("button", { type: "button", onclick: () => acts.resample(name) }, icon("dice"), "Resample");
    this.strength = el("input", {
      type: "range", min: 0, max: MOST_STRENGTH, step: 0.01, "aria-label": `Strength of ${name}`,
      oninput: () => acts.strength(name, Number(this.strength.value), false),
      onchange: () => acts.strength(name, Number(this.strength.value), true),
    });
    this.amount = el("output", { class: "number" });
    this.element = el("article", { class: "card", "aria-label": `Factor ${name}`, "data-factor": name },
      el("header", {}, this.#title(), this.reset, this.lock),
      el("div", { class: "body" },
        el("div", { class: "place" }, canvas, this.#axes()),
        el("div", { class: "change" },
          el("div", { class: "source" }, this.slot, this.forget),
          this.resample,
          el("label", { class: "strength" }, el("span", {}, "Strength"), this.strength, this.amount))));
    this.element.style.setProperty("--factor", `var(--hue-${number % 7})`);
    this.pad = new Pad(canvas, {
      name, flat: factor.dim === 1, dots: factor.spread ?? [],
      onmove: (place) => acts.move(name, place), onend: () => acts.moved(name),
    });
    this.#takeDrops();
  }

  #title() {
    const { name, dim, sigma, verdict } = this.factor;
    const size = `${dim} ${dim === 1 ? "dimension" : "dimensions"}${sigma ? ` · σ ${Number(sigma.toFixed(2))}` : ""}`;
    return el("div", { class: "title" },
      el("div", { class: "names" }, el("h3", {}, name), el("span", { class: "soft" }, size)),
      verdict && el("p", { class: "verdict", title: verdict }, verdict));
  }

  #axes() {
    const shares = (this.factor.axes ?? []).filter((share) => share > 0);
    if (!shares.length || this.factor.dim <= 2) return null;
    return el("p", { class: "soft axes" }, `${percent(Math.min(shares.reduce((a, b) => a + b, 0), 1))} of its variance`);
  }

  #takeDrops() {
    const { element, factor, acts } = this;
    element.addEventListener("dragover", (event) => {
      if (element.classList.contains("locked")) return;
      event.preventDefault();
      event.stopPropagation();
      element.classList.add("over");
    });
    element.addEventListener("dragleave", (event) => {
      if (!element.contains(event.relatedTarget)) element.classList.remove("over");
    });
    element.addEventListener("drop", (event) => {
      element.classList.remove("over");
      if (element.classList.contains("locked")) return;
      event.preventDefault();
      event.stopPropagation();
      acts.drop(factor.name, event.dataTransfer);
    });
  }

  show(state, { origin, at, isChoosing, label }) {
    const { name } = this.factor;
    const change = changeOf(state, name);
    const isLocked = state.locks.includes(name);
    this.element.classList.toggle("locked", isLocked);
    this.element.classList.toggle("changed", !doesNothing(change));
    this.pad.show({ origin, at: this.pad.isHeld ? this.pad.at : at, isLocked });
    this.#showSlot(change, isChoosing, label);
    this.forget.hidden = !hasSource(change);
    this.strength.value = change.strength;
    this.amount.textContent = change.strength.toFixed(2);
    this.strength.disabled = isLocked || !hasSource(change);
    this.element.querySelector(".strength").classList.toggle("idle", !hasSource(change));
    for (const button of [this.slot, this.forget, this.resample]) button.disabled = isLocked;
    this.reset.disabled = isLocked || doesNothing(change);
    this.lock.setAttribute("aria-pressed", String(isLocked));
    const word = isLocked ? `Unlock ${name}` : `Lock ${name}: it stays as it is, whatever attributes add`;
    this.lock.title = word;
    this.lock.setAttribute("aria-label", isLocked ? `Unlock ${name}` : `Lock ${name}`);
    this.lock.replaceChildren(icon(isLocked ? "lock" : "open"));
  }

  #showSlot(change, isChoosing, label) {
    const { name } = this.factor;
    const key = JSON.stringify([change.swap, change.resample, isChoosing, label]);
    if (this.slotKey === key) return;
    this.slotKey = key;
    this.slot.classList.toggle("choosing", isChoosing);
    const filled = change.swap !== undefined;
    this.slot.classList.toggle("filled", filled);
    const words = isChoosing ? ["Now choose on the shelf"] : filled ? [el("small", {}, "from "), label]
      : change.resample !== undefined ? [el("small", {}, "drawn by "), `seed ${change.resample}`]
        : ["Drop an image here"];
    const more = el("span", { class: "unseen" }, `: choose an image to take ${name} from`);
    const picture = filled ? thumb(change.swap, 40, this.acts.hasPictures)
      : icon(change.resample !== undefined ? "dice" : "image");
    this.slot.replaceChildren(picture, el("span", {}, words), more);
  }
}
