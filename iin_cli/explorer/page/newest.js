// Of many requests only the newest matters: one is under way, and at most one waits.
//
// A request that takes longer than `patience` is not waited for: the newest is sent beside it, and the server ends the
// older one. Answers that come late, after a newer one, are dropped.

export class Newest {
  constructor(send, { onanswer, onfault, onbusy = () => {}, patience = 300, timers = globalThis }) {
    Object.assign(this, { send, onanswer, onfault, onbusy, patience, timers });
    this.number = 0;
    this.shown = 0;
    this.underWay = 0;
    this.waiting = null;
    this.isImpatient = false;
  }

  ask(value) {
    this.waiting = { value };
    if (this.underWay === 0 || this.isImpatient) this.#next();
  }

  #next() {
    if (this.waiting === null) return;
    const { value } = this.waiting;
    this.waiting = null;
    this.isImpatient = false;
    this.#run(value, (this.number += 1));
  }

  async #run(value, number) {
    this.underWay += 1;
    if (this.underWay === 1) this.onbusy(true);
    const timer = this.timers.setTimeout(() => {
      this.isImpatient = number === this.number;
      if (this.isImpatient) this.#next();
    }, this.patience);
    try {
      const answer = await this.send(value, number);
      if (number > this.shown) {
        this.shown = number;
        this.onanswer(answer, value, number);
      }
    } catch (fault) {
      if (number === this.number) this.onfault(fault, value);
    } finally {
      this.timers.clearTimeout(timer);
      this.underWay -= 1;
      if (this.underWay === 0) {
        this.isImpatient = false;
        if (this.waiting === null) this.onbusy(false);
        this.#next();
      }
    }
  }
}
