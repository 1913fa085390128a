// What the page says of itself: bars at the top that stay while something is so, and short words that go.

import { el, iconButton } from "./elements.js";
import { Away, Fault } from "./server.js";

const PAUSE = 1000;
const STAYS = 7000;

export class Notices {
  // `health()` asks the server whether it is there; `onback()` is called when it is again.
  constructor(place, said, { health, onback, command }) {
    Object.assign(this, { place, said, health, onback, command });
    this.bars = new Map();
    this.isAway = false;
  }

  // A bar by its name; the same again replaces it.
  bar(name, kind, ...words) {
    const bar = el("div", { class: `bar ${kind}`, role: kind === "fault" ? "alert" : "status", "data-bar": name }, el("p", {}, ...words));
    if (kind !== "away") bar.append(iconButton("clear", "Close", () => this.close(name)));
    const old = this.bars.get(name);
    if (old) old.replaceWith(bar);
    else this.place.append(bar);
    this.bars.set(name, bar);
    return bar;
  }

  close(name) {
    this.bars.get(name)?.remove();
    this.bars.delete(name);
  }

  // To be read out and no more.
  say(words) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.said.textContent = words), 500);
  }

  // For a moment, where all can see it.
  tell(words) {
    this.bar("told", "told", words);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.close("told"), STAYS);
  }

  fault(error) {
    if (error instanceof Away) return this.away();
    if (error instanceof Fault && error.status === 409) return null;
    if (error instanceof Fault && error.status === 403) return this.stranger(error);
    const [what, why, fix] = error instanceof Fault ? [error.what, error.why, error.fix] : ["This failed", String(error.message ?? error), ""];
    return this.bar("fault", "fault", el("strong", {}, sentence(what)), ` ${sentence(why)} ${sentence(fix)}`);
  }

  // The server is another one than that which this page came from.
  stranger(error) {
    const begin = this.command() ? [" It was started by ", el("code", {}, this.command()), "."] : [];
    return this.bar("fault", "fault", el("strong", {}, "This page is no longer let in."), ` ${sentence(error.why)} Open the address that `,
      el("code", {}, "iin explore"), " printed, with its token.", ...begin);
  }

  away() {
    if (this.isAway) return;
    this.isAway = true;
    const begin = this.command() ? ["If it has ended, start it again: ", el("code", {}, this.command())] : [];
    this.bar("away", "away", el("strong", {}, "The server is away."), " This page looks for it every second and then goes on. ", ...begin);
    this.#look();
  }

  #look() {
    setTimeout(async () => {
      try {
        await this.health();
      } catch (error) {
        if (error instanceof Away) return this.#look();
        this.isAway = false;
        this.close("away");
        return this.fault(error);
      }
      this.isAway = false;
      this.close("away");
      this.tell("The server is back.");
      return this.onback();
    }, PAUSE);
  }
}

// Words as a sentence: with a capital and a full stop.
export function sentence(words) {
  const text = String(words ?? "").trim();
  // A name as test:12 or t.safetensors stays as it is.
  const begin = /^[a-z]+([ ,]|\.(\s|$))/.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return begin && begin + (/[.!?…:]$/.test(begin) ? "" : ".");
}
