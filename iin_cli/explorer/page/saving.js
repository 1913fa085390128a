// A page for others: one file, without a server, in which each factor can still be dragged in steps.
//
// The pictures of a grid over every pad are computed now, one factor moving at a time from the state that is saved.

import { reachOf } from "./pad.js";
import { toBody } from "./state.js";

const SIDE = 7;
const LINE = 31;
const THUMB = 112;
// In the order in which one needs the other; their imports and exports are taken away, since a file has no neighbours.
const MODULES = ["elements.js", "answers.js", "pad.js", "reader.js"];

// Returns the file's text. `say(words)` tells how far it is.
export async function saved({ translator, server, state, places, image, labelOf, say }) {
  const body = toBody(state);
  const pictures = {};
  const factors = [];
  for (const [number, factor] of translator.factors.entries()) {
    say(`Computing the pictures of ${factor.name}, ${number + 1} of ${translator.factors.length} …`);
    factors.push(await gridOf(factor, { server, body, state, places, image, pictures, most: translator.limits.points ?? 64 }));
  }
  say("Collecting the images …");
  const shown = { ...image, label: labelOf(image.id), nearest: image.nearest?.map(kept(pictures)) ?? null };
  if (translator.answer === "classes") pictures[image.id] = null;
  await fill(pictures, server);
  const { name, answer, data, network, classes, image_size: size } = translator;
  const facts = { name, answer, data, network, classes, size, factors, image: shown, pictures, date: new Date().toISOString().slice(0, 10) };
  return paged(facts, await sources());
}

async function gridOf(factor, { server, body, state, places, image, pictures, most }) {
  const { origin, at } = places.of(image.id, factor.name, state);
  const grid = pointsOf(factor, most);
  const points = grid.map((place) => places.moveTo(image.id, factor.name, place));
  const { changes, attributes, locked } = body;
  const found = await server.grid({ image: image.id, changes, attributes, locked, factor: factor.name, points });
  const nearest = found.nearest?.map((row) => row.slice(0, 1).map(kept(pictures))) ?? null;
  const answers = found.answers?.map((row) => row.map((share) => Number(share.toPrecision(4)))) ?? null;
  return { ...factor, origin, at, grid, pictures: found.pictures, answers, nearest };
}

// Where a factor's pad is computed: an odd number to each side, so that the prior's mean is one of them.
export function pointsOf(factor, most = 64) {
  const reach = reachOf(factor.spread ?? []);
  const flat = factor.dim === 1;
  const side = flat ? Math.min(LINE, most) : Math.min(SIDE, Math.floor(Math.sqrt(most)));
  const places = Array.from({ length: side }, (_, step) => Number((0.9 * reach * ((2 * step) / (side - 1) - 1)).toFixed(4)));
  return flat ? places.map((x) => [x, 0]) : places.flatMap((y) => places.map((x) => [x, y]));
}

// Remembers an image that the file must hold.
function kept(pictures) {
  return (near) => {
    pictures[near.id] ??= null;
    return { id: near.id, label: near.label ?? null, similarity: near.similarity };
  };
}

async function fill(pictures, server) {
  const ids = Object.keys(pictures);
  for (let first = 0; first < ids.length; first += 6) {
    await Promise.all(ids.slice(first, first + 6).map(async (id) => (pictures[id] = await asAddress(await server.picture(id)))));
  }
}

// As a data address, and no larger than it is shown.
async function asAddress(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, (2 * THUMB) / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
  canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return scale < 1 ? canvas.toDataURL("image/jpeg", 0.88) : canvas.toDataURL("image/png");
}

async function sources() {
  const [style, ...modules] = await Promise.all(["explorer.css", ...MODULES].map(async (name) => (await fetch(`/page/${name}`)).text()));
  return { style, script: bundled(modules) };
}

export function bundled(modules) {
  return modules.map((text) => text.replace(/^import [^;]*;\n/gm, "").replace(/^export /gm, "")).join("\n");
}

// Within a script no "<" of a name may end it.
export function paged(facts, { style, script }) {
  const title = facts.name.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · iin explore</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body class="saved">
<script type="application/json" id="facts">${JSON.stringify(facts).replaceAll("<", "\\u003c")}</script>
<script type="module">${script.replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}
