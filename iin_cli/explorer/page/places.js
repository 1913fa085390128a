// Where an image lies on each factor's pad: before any change, by its source alone, and with the move.
//
// The server says where an image has come to; what a move has added to that is known, and so the rest is.

import { changeOf, hasSource } from "./state.js";

export class Places {
  constructor() {
    this.origins = new Map(); // image -> factor -> [x, y]
    this.bases = new Map(); // image -> factor -> {key, place}: without the move
  }

  // An image as it is.
  keep(image, factors) {
    this.origins.set(image, factors);
  }

  // An answer of /api/edit, and the body that asked for it.
  learn(image, body) {
    if (image.origin) this.keep(image.id, image.origin);
    const isPlain = !body.changes.length && !Object.keys(body.attributes).length;
    const locked = body.locked ?? [];
    if (isPlain && !this.origins.has(image.id)) this.keep(image.id, image.factors);
    const bases = {};
    for (const [name, [x, y]] of Object.entries(image.factors)) {
      const change = body.changes.find(({ factor }) => factor === name) ?? { move: [0, 0], strength: 1 };
      bases[name] = { key: keyOf(change, movedBy(body.attributes, locked, name)), place: [x - change.move[0], y - change.move[1]] };
    }
    this.bases.set(image.id, bases);
  }

  // Without the move; of a source that was not answered yet, the latest place that is known.
  base(image, factor) {
    return this.bases.get(image)?.[factor]?.place ?? this.origins.get(image)?.[factor] ?? [0, 0];
  }

  // The move that brings an image to a place.
  moveTo(image, factor, [x, y]) {
    const [left, low] = this.base(image, factor);
    return [x - left, y - low];
  }

  // Where the pad draws the image: its origin and where it is, each null where unknown.
  of(image, factor, state) {
    const change = changeOf(state, factor);
    const known = this.bases.get(image)?.[factor];
    const origin = this.origins.get(image)?.[factor] ?? null;
    if (known === undefined && origin === null) return { origin, at: null };
    const attributes = movedBy(state.attributes, state.locks, factor);
    const isPlain = !hasSource(change) && !Object.keys(attributes).length;
    const base = known?.key === keyOf(change, attributes) ? known.place : isPlain && origin ? origin : this.base(image, factor);
    return { origin, at: [base[0] + change.move[0], base[1] + change.move[1]] };
  }
}

// What attributes do to a factor: nothing where it is locked.
function movedBy(attributes, locked, factor) {
  return locked.includes(factor) ? {} : attributes;
}

function keyOf({ swap, resample, strength }, attributes) {
  return JSON.stringify([swap ?? null, resample ?? null, swap !== undefined || resample !== undefined ? strength : 1, attributes]);
}
