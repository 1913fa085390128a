// The middle of the page: each image before and after, or before and the nearest real images.

import { el, icon, iconButton, percent } from "./elements.js";
import { imageAddress } from "./server.js";
import { MOST_IMAGES } from "./state.js";

// How long a drag rests until the small pictures are asked for, in milliseconds.
const PAUSE = 150;

export class Stage {
  // `acts`: focus(id), remove(id), add().
  constructor(section, acts) {
    this.acts = acts;
    this.row = el("ul", { class: "row", "aria-label": "Images" });
    this.figures = new Map();
    this.answer = "images";
    this.pixelated = false;
    this.add = el("button", { type: "button", class: "add", title: "Show the same edit of another image beside it", onclick: () => acts.add() },
      icon("plus"), el("span", {}, "Add an image"));
    section.append(el("h2", { id: "stage-title", class: "unseen" }, "Before and after"), this.row, this.add);
  }

  open({ answer, image_size: size }) {
    this.answer = answer;
    this.pixelated = (size ?? 0) <= 64;
    this.row.classList.toggle("pixelated", this.pixelated);
    this.row.classList.add(answer);
  }

  // Draws what is known without an answer: which images there are, and which of them is in focus.
  arrange(state, labelOf) {
    const { images } = state;
    this.row.classList.toggle("single", images.length < 2);
    this.add.hidden = !images.length || images.length >= MOST_IMAGES;
    this.row.style.setProperty("--count", images.length);
    for (const [id, figure] of this.figures) {
      if (!images.includes(id)) {
        figure.element.remove();
        this.figures.delete(id);
      }
    }
    for (const [number, id] of images.entries()) {
      const figure = this.figures.get(id) ?? this.#make(id);
      if (this.row.children[number] !== figure.element) this.row.insertBefore(figure.element, this.row.children[number] ?? null);
      const isFocus = number === state.at;
      figure.element.classList.toggle("focus", isFocus && images.length > 1);
      const label = labelOf(id);
      figure.name.replaceChildren(label, label === id || id.startsWith("upload:") ? "" : el("small", {}, id));
      figure.name.setAttribute("aria-pressed", String(isFocus));
      figure.name.title = "Show its places and answers";
      figure.remove.setAttribute("aria-label", `Remove ${label}`);
      figure.remove.hidden = images.length < 2;
      figure.name.disabled = images.length < 2;
    }
  }

  #make(id) {
    const figure = { shown: null };
    const before = el("img", { alt: "", class: "picture", draggable: "false" });
    const after = this.answer === "classes" ? el("div", { class: "nearest" }) : el("img", { alt: "", class: "picture", draggable: "false" });
    figure.before = before;
    figure.after = after;
    figure.beforeWord = el("span", { class: "soft" });
    figure.afterWord = el("span", { class: "soft" });
    figure.name = el("button", { type: "button", class: "name", onclick: () => this.acts.focus(id) });
    figure.remove = iconButton("clear", "Remove", () => this.acts.remove(id));
    figure.element = el("li", { class: "figure" },
      el("div", { class: "caption" }, figure.name, figure.remove),
      el("div", { class: "pair" },
        el("div", { class: "before" }, before, figure.beforeWord),
        el("span", { class: "to" }, icon("arrow")),
        el("div", { class: "after" }, after, figure.afterWord)));
    if (this.answer === "latents") figure.element.querySelector(".pair").replaceChildren();
    this.figures.set(id, figure);
    return figure;
  }

  // Returns when the next frame shows the pictures: what is measured is what is seen. Small ones come when nothing else does.
  async show(images, labelOf) {
    const waiting = [];
    const later = [];
    clearTimeout(this.pausing);
    for (const image of images) {
      const figure = this.figures.get(image.id);
      if (figure === undefined || this.answer === "latents") continue;
      const label = labelOf(image.id);
      if (this.answer === "classes") {
        this.#put(figure.before, imageAddress(image.id), label, waiting);
        this.#showNearest(figure, image.nearest ?? [], waiting, later);
        figure.beforeWord.textContent = image.predicted ? `Read as ${image.predicted.before}` : "The image";
        figure.afterWord.textContent = image.predicted ? `Read as ${image.predicted.after}` : "Nearest real images";
      } else {
        this.#put(figure.before, image.before, `${label}, before`, waiting);
        this.#put(figure.after, image.picture, `${label}, after`, waiting);
        figure.beforeWord.textContent = "Before";
        figure.afterWord.textContent = "After";
      }
    }
    this.pausing = setTimeout(() => later.forEach((put) => put()), PAUSE);
    await Promise.all(waiting);
  }

  #put(img, address, alt, waiting) {
    if (img.alt !== alt) img.alt = alt;
    if (!address || img.dataset.address === address) return;
    img.dataset.address = address;
    // Decoded within the frame that shows it: decode() would wait for a frame of its own before.
    img.decoding = "sync";
    img.src = address;
    waiting.push(settled(img));
  }

  #showNearest(figure, nearest, waiting, later) {
    const held = [...figure.after.children];
    for (const [number, near] of nearest.entries()) {
      const tile = held[number] ?? figure.after.appendChild(el("div", { class: "near" }, el("img", { alt: "", draggable: "false" }), el("span")));
      const words = near.label ?? near.id;
      const alt = `${number === 0 ? "Nearest real image" : "Near"}: ${words}`;
      if (number === 0) this.#put(tile.firstChild, imageAddress(near.id), alt, waiting);
      else later.push(() => this.#put(tile.firstChild, imageAddress(near.id), alt, []));
      tile.title = `${words}${near.predicted ? `, read as ${near.predicted}` : ""}, similarity ${near.similarity.toFixed(2)}`;
      tile.lastChild.textContent = near.label ?? percent(near.similarity);
    }
    for (const tile of held.slice(nearest.length)) tile.remove();
  }
}

// Resolves when an image, or a newer one in its place, has come or cannot come.
function settled(img) {
  return new Promise((resolve) => {
    for (const end of ["load", "error"]) img.addEventListener(end, resolve, { once: true });
  });
}
