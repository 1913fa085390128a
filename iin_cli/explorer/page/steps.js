// Undo and redo are the browser's own back and forward: one list of steps, and never two that disagree.
//
// Each step is an entry of the window's history, numbered in its state; the newest number is how far redo goes.

export class Steps {
  constructor(history, read, onmoved) {
    this.history = history;
    this.read = read; // -> the hash of the address
    this.onmoved = onmoved; // called when the address has changed by going back, forward, or by hand
    this.at = Number(history.state?.step) || 0;
    this.last = this.at;
    this.first = this.at;
    this.hash = read();
    this.isGoing = false;
  }

  get canUndo() {
    return this.at > this.first;
  }

  get canRedo() {
    return this.at < this.last;
  }

  // A step taken: a new entry, unless nothing has changed. The first one only names where the page began.
  commit(hash, isFirst = false) {
    if (hash === this.hash && !isFirst) return;
    this.hash = hash;
    if (!isFirst) this.last = this.at += 1;
    try {
      this.history[isFirst ? "replaceState" : "pushState"]({ step: this.at }, "", hash || this.#bare());
    } catch {
      // Some browsers take a hundred entries in half a minute and no more; the page goes on without this one.
      this.last = this.at = Math.max(this.at - 1, this.first);
    }
  }

  undo() {
    this.#go(-1, this.canUndo);
  }

  redo() {
    this.#go(1, this.canRedo);
  }

  // The window's popstate: the user went somewhere, by a button of ours or the browser's, or wrote an address.
  moved(state) {
    this.isGoing = false;
    const step = state?.step;
    if (Number.isInteger(step)) {
      this.at = step;
      this.first = Math.min(this.first, step);
      this.last = Math.max(this.last, step);
    } else {
      this.last = this.at += 1;
      this.history.replaceState({ step: this.at }, "");
    }
    this.hash = this.read();
    this.onmoved(this.hash);
  }

  #go(by, isPossible) {
    // The browser goes in its own time; a second press before it has would be lost or doubled.
    if (!isPossible || this.isGoing) return;
    this.isGoing = true;
    this.history.go(by);
  }

  #bare() {
    return globalThis.location ? globalThis.location.pathname : "/";
  }
}
