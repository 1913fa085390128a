// The shelf of test images and uploads; what a choice does is said above it.

import { el, icon } from "./elements.js";
import { thumb } from "./thumb.js";

const PAGE = 24;

export class Shelf {
  // `acts`: list(offset, n), choose(id), files(list), cancel().
  constructor(section, acts) {
    this.acts = acts;
    this.items = new Map(); // id -> label
    this.loaded = 0;
    this.hasPictures = true;
    this.heading = el("h2", { id: "shelf-title" }, "Images");
    this.hint = el("p", { class: "soft hint" });
    this.file = el("input", { type: "file", accept: "image/*", multiple: true, class: "unseen", tabindex: "-1", "aria-label": "Image files",
      onchange: () => this.#filesChosen() });
    this.upload = el("button", { type: "button", class: "wide", onclick: () => this.file.click() }, icon("image"), "Open an image…");
    this.cancel = el("button", { type: "button", class: "wide", hidden: true, onclick: () => acts.cancel() }, icon("clear"), "Cancel");
    this.list = el("ul", { class: "thumbs", "aria-labelledby": "shelf-title" });
    this.more = el("button", { type: "button", class: "wide", onclick: () => this.load() }, "More");
    section.append(this.heading, this.hint, el("div", { class: "shelf-tools" }, this.upload, this.cancel, this.file),
      el("div", { class: "scroll" }, this.list, this.more));
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.purpose(null);
  }

  #filesChosen() {
    this.acts.files([...this.file.files]);
    this.file.value = "";
  }

  // What a click on an image does: null shows it, "add" adds it, a factor's name takes that factor from it.
  purpose(purpose) {
    this.upload.hidden = !this.hasPictures;
    const words = purpose === null ? `A click shows ${this.hasPictures ? "an image" : "a draw"}; drag one to a factor to swap.`
      : purpose.add ? "Choose an image to add to the row." : "";
    this.hint.replaceChildren(...(purpose?.factor ? ["Choose an image to take ", el("b", {}, purpose.factor), " from."] : [words]));
    this.list.parentElement.parentElement.classList.toggle("choosing", purpose !== null);
    this.cancel.hidden = purpose === null;
    if (purpose !== null) this.focus();
  }

  focus() {
    this.list.querySelector("button[tabindex='0']")?.focus();
  }

  async load() {
    this.more.disabled = true;
    try {
      const { count, items } = await this.acts.list(this.loaded, PAGE);
      this.loaded += items.length;
      for (const item of items) this.add(item.id, item.label);
      this.more.hidden = this.loaded >= count || !items.length;
      return items;
    } finally {
      this.more.disabled = false;
    }
  }

  add(id, label, isFirst = false) {
    if (this.items.has(id)) return;
    this.items.set(id, label);
    const button = el("button", { type: "button", class: "thumb", "data-id": id, "aria-label": label ?? id, title: `${label ?? id} (${id})`,
      tabindex: "-1", draggable: "true", onclick: () => this.acts.choose(id) },
    thumb(id, 56, this.hasPictures));
    button.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/x-iin-image", id);
      event.dataTransfer.effectAllowed = "copy";
    });
    this.list[isFirst ? "prepend" : "append"](el("li", {}, button));
    if (!this.list.querySelector("[tabindex='0']")) button.tabIndex = 0;
  }

  mark(images) {
    for (const button of this.list.querySelectorAll("button")) {
      const isShown = images.includes(button.dataset.id);
      if (isShown) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  // One stop for Tab, arrows within.
  #key(event) {
    const buttons = [...this.list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = Math.max(buttons.filter((each) => each.offsetTop === buttons[0].offsetTop).length, 1);
    const isStrip = columns === buttons.length;
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: isStrip ? at + 1 : at + columns, ArrowUp: isStrip ? at - 1 : at - columns,
      Home: 0, End: buttons.length - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    const next = buttons[Math.min(Math.max(goal, 0), buttons.length - 1)];
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
