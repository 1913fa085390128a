// Building elements in a line. Styles are set property by property, since the page's policy takes no style attribute.

export function el(name, given = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, set] of Object.entries(value)) node.style.setProperty(property, set);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const PATHS = {
  undo: "M8 5 4 9l4 4M4 9h9a5 5 0 0 1 0 10h-3",
  redo: "m16 5 4 4-4 4m4-4h-9a5 5 0 0 0 0 10h3",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  save: "M12 4v11m-4-4 4 4 4-4M5 19h14",
  dice: "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  open: "M6 11h12v9H6zM8.500 11V7a3.500 3.500 0 0 1 6.800-1.200",
  clear: "m6 6 12 12M18 6 6 18",
  reset: "M5 5v5h5M5.600 10a7.500 7.500 0 1 1-.8 5",
  plus: "M12 5v14M5 12h14",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9h.01",
  help: "M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 17.500h.01",
  arrow: "M4 12h15m-5-5 5 5-5 5",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", "icon"], ["aria-hidden", "true"], ["focusable", "false"]]) {
    drawing.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  drawing.append(path);
  return drawing;
}

// A button of an icon alone, which says in words what it does.
export function iconButton(name, label, onclick, given = {}) {
  return el("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick, ...given }, icon(name));
}

export function percent(share) {
  const value = 100 * share;
  return value > 0 && value < 1 ? "<1 %" : value < 100 && value > 99 ? ">99 %" : `${Math.round(value)} %`;
}
