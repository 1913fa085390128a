// What the page shows, as one immutable value, and its two spellings: the address's hash and the server's JSON.
//
//   {images: ["test:12"], at: 0, changes: {digit: {swap|resample, strength, move: [x, y]}}, attributes: {name: amount},
//    locks: ["color"]}
//
// Of a locked factor attributes move nothing, and what draws or puts back everything leaves it out.
//
// Numbers are rounded when they are set, so that the address, the picture and the command line hold the same ones.

export const MOST_IMAGES = 16;
export const MOST_STRENGTH = 2;
const STILL = Object.freeze({ strength: 1, move: [0, 0] });

export function empty(images = []) {
  return { images, at: 0, changes: {}, attributes: {}, locks: [] };
}

export function rounded(number) {
  const short = Math.round(number * 1000) / 1000;
  return Number.isFinite(short) ? short + 0 : 0;
}

export function changeOf(state, factor) {
  return Object.hasOwn(state.changes, factor) ? state.changes[factor] : STILL;
}

export function hasSource(change) {
  return change.swap !== undefined || change.resample !== undefined;
}

export function doesNothing(change) {
  const moves = change.move[0] !== 0 || change.move[1] !== 0;
  return !moves && !hasSource(change);
}

function withChange(state, factor, change) {
  const changes = { ...state.changes, [factor]: change };
  if (doesNothing(change)) delete changes[factor];
  return { ...state, changes };
}

export function withMove(state, factor, [x, y]) {
  return withChange(state, factor, { ...changeOf(state, factor), move: [rounded(x), rounded(y)] });
}

// A new source begins at its own place and in full.
export function withSwap(state, factor, image) {
  return withChange(state, factor, { swap: image, strength: 1, move: [0, 0] });
}

export function withResample(state, factor, seed) {
  return withChange(state, factor, { resample: seed, strength: 1, move: [0, 0] });
}

export function withoutSource(state, factor) {
  return withChange(state, factor, { strength: 1, move: changeOf(state, factor).move });
}

export function withStrength(state, factor, strength) {
  const held = Math.min(Math.max(rounded(strength), 0), MOST_STRENGTH);
  return withChange(state, factor, { ...changeOf(state, factor), strength: held });
}

export function withoutChange(state, factor) {
  return withChange(state, factor, STILL);
}

export function withoutChanges(state) {
  const changes = Object.fromEntries(Object.entries(state.changes).filter(([name]) => state.locks.includes(name)));
  return { ...state, changes, attributes: {} };
}

export function withAttribute(state, name, amount) {
  const attributes = { ...state.attributes, [name]: rounded(amount) };
  if (attributes[name] === 0) delete attributes[name];
  return { ...state, attributes };
}

export function withLock(state, factor, locked) {
  const locks = state.locks.filter((name) => name !== factor);
  return { ...state, locks: locked ? [...locks, factor] : locks };
}

export function withImage(state, image) {
  return { ...state, images: [image], at: 0 };
}

export function withImageAdded(state, image) {
  const found = state.images.indexOf(image);
  if (found >= 0) return { ...state, at: found };
  const images = [...state.images, image].slice(-MOST_IMAGES);
  return { ...state, images, at: images.length - 1 };
}

export function withoutImage(state, image) {
  if (state.images.length < 2) return state;
  const images = state.images.filter((each) => each !== image);
  const gone = state.images.indexOf(image);
  const at = Math.min(gone >= 0 && gone < state.at ? state.at - 1 : state.at, images.length - 1);
  return { ...state, images, at };
}

export function withFocus(state, at) {
  return { ...state, at: Math.min(Math.max(at, 0), Math.max(state.images.length - 1, 0)) };
}

// Without factors and attributes that a translator does not know: an address may be of another one.
export function known(state, factors, attributes) {
  const among = (held, names) => Object.fromEntries(Object.entries(held).filter(([name]) => names.includes(name)));
  const locks = state.locks.filter((name) => factors.includes(name));
  return { ...state, locks, changes: among(state.changes, factors), attributes: among(state.attributes, attributes) };
}

// Every factor that is not locked is drawn anew, each by a seed of its own.
export function allResampled(state, factors, random = Math.random) {
  return factors
    .filter((name) => !state.locks.includes(name))
    .reduce((result, name) => withResample(result, name, newSeed(random)), state);
}

export function newSeed(random = Math.random) {
  return Math.floor(random() * 10000);
}

// The body of a request to /api/edit, but for the tab and the number.
export function toBody(state) {
  const changes = Object.entries(state.changes)
    .filter(([, change]) => !doesNothing(change))
    .map(([factor, change]) => ({ factor, ...change }));
  return { images: state.images, changes, attributes: state.attributes, locked: state.locks };
}

// #images=test:12,test:40&at=1&set.digit=test:7*0.5@1.2,-0.4&set.color=seed:17&along.class=cat... with names escaped.
export function toHash(state) {
  const parts = [];
  if (state.images.length) parts.push(`images=${state.images.map(escaped).join(",")}`);
  if (state.at) parts.push(`at=${state.at}`);
  for (const [factor, change] of Object.entries(state.changes)) {
    if (!doesNothing(change)) parts.push(`set.${escaped(factor)}=${written(change)}`);
  }
  for (const [name, amount] of Object.entries(state.attributes)) parts.push(`along.${escaped(name)}=${amount}`);
  if (state.locks.length) parts.push(`lock=${state.locks.map(escaped).join(",")}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

function written({ swap, resample, strength, move: [x, y] }) {
  const source = swap !== undefined ? escaped(swap) : resample !== undefined ? `seed:${resample}` : "";
  const share = source && strength !== 1 ? `*${strength}` : "";
  return source + share + (x || y ? `@${x},${y}` : "");
}

// What cannot be read is left out: an address that a mail program has cut still shows what is whole of it.
export function fromHash(hash) {
  let state = empty();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const cut = part.indexOf("=");
    if (cut < 1) continue;
    const key = part.slice(0, cut);
    const value = part.slice(cut + 1);
    if (key === "images") state.images = [...new Set(list(value))].slice(0, MOST_IMAGES);
    else if (key === "at") state.at = Number.parseInt(value, 10) || 0;
    else if (key === "lock") state.locks = list(value);
    else if (key.startsWith("set.")) state = readChange(state, unescaped(key.slice(4)), value);
    else if (key.startsWith("along.")) state = readAttribute(state, unescaped(key.slice(6)), value);
  }
  return withFocus(state, state.at);
}

function readChange(state, factor, value) {
  const match = /^([^*@]*)(?:\*([\d.]+))?(?:@(-?[\d.]+),(-?[\d.]+))?$/.exec(value);
  if (!match || !factor) return state;
  const [, source, strength, x, y] = match;
  let result = state;
  const seed = /^seed:(\d{1,15})$/.exec(source);
  if (seed) result = withResample(result, factor, Number(seed[1]));
  else if (source) result = withSwap(result, factor, unescaped(source));
  if (source && strength !== undefined) result = withStrength(result, factor, Number(strength));
  return x === undefined ? result : withMove(result, factor, [Number(x), Number(y)]);
}

function readAttribute(state, name, value) {
  return name && Number.isFinite(Number(value)) ? withAttribute(state, name, Number(value)) : state;
}

function list(value) {
  return value.split(",").filter(Boolean).map(unescaped);
}

// Colons and slashes may stand in a hash, and are what names are full of.
function escaped(text) {
  return encodeURIComponent(text).replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/\*/g, "%2A");
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
