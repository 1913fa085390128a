// The keys of the page, and the list of them that ? opens.

import { el } from "./elements.js";

const KEYS = [
  [["←", "→", "↑", "↓"], "move a pad's handle, or go along the shelf; with Shift in wide steps"],
  [["Home"], "put a pad's handle back"],
  [["Z"], "undo"],
  [["Shift", "Z"], "redo"],
  [["R"], "resample every factor that is not locked"],
  [["0"], "put all factors back"],
  [["C"], "copy the command that makes this picture"],
  [["S"], "save this page as one file"],
  [["I"], "go to the images"],
  [["Esc"], "choose no image after all"],
  [["?"], "this list"],
];

export function listen(acts) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input:not([type=range]), textarea, select, dialog");
    if (isTyping || event.altKey) return;
    const withCommand = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (withCommand && key !== "z" && key !== "y") return;
    const act = withCommand && key === "y" ? acts.redo
      : { z: event.shiftKey ? acts.redo : acts.undo, r: acts.resample, 0: acts.reset, c: acts.copy, s: acts.save, i: acts.images,
        "?": acts.help, Escape: acts.cancel }[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

export function showKeys() {
  const rows = KEYS.map(([keys, words]) => el("div", {}, el("dt", {}, keys.map((key) => el("kbd", {}, key))), el("dd", {}, words)));
  const dialog = el("dialog", { "aria-labelledby": "keys-title", class: "help" },
    el("h2", { id: "keys-title" }, "Keys"),
    el("dl", {}, rows),
    el("p", { class: "soft" }, "The rings of a pad are one and two standard deviations of N(0, 1); dots are real images, the dashed ring is "
      + "where the image lay, the full dot where it is. The address of this page holds all of it."),
    el("form", { method: "dialog" }, el("button", {}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
