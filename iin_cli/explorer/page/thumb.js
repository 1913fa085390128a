// A small picture of an image; of latents alone, which nobody can see, the end of their name.

import { el } from "./elements.js";
import { imageAddress } from "./server.js";

export function thumb(id, side, hasPictures) {
  return hasPictures
    ? el("img", { src: imageAddress(id), alt: "", loading: "lazy", width: side, height: side, draggable: "false" })
    : el("span", { class: "number" }, id.slice(id.indexOf(":") + 1));
}
