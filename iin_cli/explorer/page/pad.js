// A two-dimensional slider on a canvas: dots of real images, a ring where the image was, a handle where it is.
//
// Positions are the server's: standard deviations of N(0, 1) along two axes, 0 in the middle, up is positive. A factor
// of one dimension has a flat pad whose dots are spread upwards for the eye alone.

const STEP = 0.1;
const WIDE_STEP = 0.5;
const GRASP = 22;

export class Pad {
  // Where it is not known, `at` is null. `onmove(position)` follows the pointer, `onend()` says that it has let go; `snap(position)` may hold positions.
  constructor(canvas, { name, flat = false, dots = [], onmove = () => {}, onend = () => {}, snap = (place) => place }) {
    Object.assign(this, { canvas, name, flat, dots, onmove, onend, snap });
    this.reach = reachOf(dots);
    this.at = [0, 0];
    this.origin = null;
    this.isLocked = false;
    this.held = null;
    this.ground = null;
    canvas.tabIndex = 0;
    canvas.classList.toggle("flat", flat);
    const facts = { role: "slider", "aria-roledescription": flat ? "slider" : "2-D pad", "aria-label": `Place of ${name}` };
    for (const [key, value] of Object.entries(facts)) canvas.setAttribute(key, value);
    this.#listen();
    this.show({});
  }

  get isHeld() {
    return this.held !== null;
  }

  #repaint() {
    this.ground = null;
    this.draw();
  }

  show({ at = this.at, origin = this.origin, isLocked = this.isLocked }) {
    const key = JSON.stringify([at, origin, isLocked, this.isHeld]);
    if (key === this.shown) return;
    Object.assign(this, { at, origin, isLocked, shown: key });
    const [x, y] = (at ?? [0, 0]).map((value) => value.toFixed(2));
    const { canvas, reach } = this;
    canvas.setAttribute("aria-valuemin", (-reach).toFixed(1));
    canvas.setAttribute("aria-valuemax", reach.toFixed(1));
    canvas.setAttribute("aria-valuenow", Math.min(Math.max(Number(x), -reach), reach));
    canvas.setAttribute("aria-valuetext", at === null ? "not known yet" : this.flat ? `${x}` : `${x} across, ${y} up`);
    canvas.setAttribute("aria-disabled", String(isLocked));
    this.draw();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#grasp(event));
    canvas.addEventListener("pointermove", (event) => this.#follow(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, () => this.#release());
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => event.key.startsWith("Arrow") && this.#release());
    canvas.addEventListener("blur", () => this.#release());
    // The first time it has a size, and its place in the page its colours.
    new ResizeObserver(() => this.#repaint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#repaint());
  }

  #grasp(event) {
    if (this.isLocked || this.at === null || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    const [x, y] = this.toPixels(this.at);
    const apart = [x - event.offsetX, y - event.offsetY];
    // Taken by the handle it does not jump; elsewhere it comes to the pointer.
    this.held = Math.hypot(...apart) <= GRASP ? apart : [0, 0];
    event.preventDefault();
    this.#follow(event);
  }

  #follow(event) {
    if (this.held === null || this.held === "keys") return;
    const place = this.toPlace([event.offsetX + this.held[0], event.offsetY + this.held[1]]);
    this.#move(place);
  }

  #release() {
    if (this.held === null) return;
    this.held = null;
    this.draw();
    this.onend();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.isLocked || this.at === null) return;
    const step = event.shiftKey ? WIDE_STEP : STEP;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: this.flat ? [1, 0] : [0, 1], ArrowDown: this.flat ? [-1, 0] : [0, -1] };
    const way = ways[event.key];
    const isHome = event.key === "Home" && this.origin !== null;
    if (!way && !isHome) return;
    event.preventDefault();
    this.held = "keys";
    this.#move(isHome ? this.origin : [this.at[0] + way[0] * this.stepOf(step), this.at[1] + way[1] * this.stepOf(step)]);
    if (isHome) this.#release();
  }

  // Overridden by whoever holds positions in steps.
  stepOf(step) {
    return step;
  }

  #move([x, y]) {
    const within = (value) => Math.min(Math.max(value, -this.reach), this.reach);
    const place = this.snap([within(x), this.flat ? 0 : within(y)]);
    if (place[0] === this.at[0] && place[1] === this.at[1]) return;
    this.show({ at: place });
    this.onmove(place);
  }

  get #size() {
    return [this.canvas.clientWidth || 1, this.canvas.clientHeight || 1];
  }

  toPixels([x, y]) {
    const [width, height] = this.#size;
    return [((x / this.reach + 1) * width) / 2, this.flat ? height / 2 : ((1 - y / this.reach) * height) / 2];
  }

  toPlace([left, top]) {
    const [width, height] = this.#size;
    return [((2 * left) / width - 1) * this.reach, this.flat ? 0 : (1 - (2 * top) / height) * this.reach];
  }

  // What moves is drawn over what does not: the ground with its dots is painted once, and copied.
  draw() {
    const { canvas } = this;
    const [width, height] = this.#size;
    const scale = globalThis.devicePixelRatio || 1;
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.ground === null || this.ground.width !== across || this.ground.height !== down) {
      canvas.width = across;
      canvas.height = down;
      this.#paintGround(across, down, width, height, scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, across, down);
    pen.drawImage(this.ground, 0, 0);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.#drawPlaces(pen);
  }

  #paintGround(across, down, width, height, scale) {
    const style = getComputedStyle(this.canvas);
    this.colors = Object.fromEntries(["line", "dot", "card", "soft", "factor"].map((name) =>
      [name, style.getPropertyValue(`--${name}`).trim() || "gray"]));
    this.ground = document.createElement("canvas");
    this.ground.width = across;
    this.ground.height = down;
    const pen = this.ground.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.#drawGround(pen, width, height);
    this.#drawDots(pen, height);
  }

  // The prior's mean, and one and two standard deviations around it.
  #drawGround(pen, width, height) {
    const [middle, level] = this.toPixels([0, 0]);
    const unit = width / (2 * this.reach);
    pen.strokeStyle = this.colors.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, level);
    pen.lineTo(width, level);
    pen.moveTo(middle, 0);
    pen.lineTo(middle, height);
    for (const radius of [1, 2]) {
      if (this.flat) {
        for (const side of [-1, 1]) {
          pen.moveTo(middle + side * radius * unit, level - 5);
          pen.lineTo(middle + side * radius * unit, level + 5);
        }
      } else {
        pen.moveTo(middle + radius * unit, level);
        pen.arc(middle, level, radius * unit, 0, 2 * Math.PI);
      }
    }
    pen.stroke();
  }

  #drawDots(pen, height) {
    pen.fillStyle = this.colors.dot;
    for (const [number, dot] of this.dots.entries()) {
      const [x, y] = this.toPixels(dot);
      // A golden angle's worth of height: even, and the same at each drawing.
      const lift = this.flat ? (((number * 0.618034) % 1) - 0.5) * 0.7 * height : 0;
      pen.beginPath();
      pen.arc(x, y + lift, 1.6, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  #drawPlaces(pen) {
    if (this.at === null) return;
    const [x, y] = this.toPixels(this.at.map((value) => Math.min(Math.max(value, -this.reach), this.reach)));
    const tint = this.isLocked ? this.colors.soft : this.colors.factor;
    if (this.origin !== null) {
      const [left, top] = this.toPixels(this.origin);
      pen.strokeStyle = tint;
      pen.lineWidth = 1.5;
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(left, top);
      pen.lineTo(x, y);
      pen.stroke();
      pen.setLineDash([]);
      pen.fillStyle = this.colors.card;
      pen.beginPath();
      pen.arc(left, top, 5, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
    pen.fillStyle = tint;
    pen.strokeStyle = this.colors.card;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(x, y, this.isHeld ? 11 : 9, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

// How far a pad reaches to each side: nearly all of its dots, and at least three standard deviations.
export function reachOf(dots) {
  const far = dots.map(([x, y]) => Math.max(Math.abs(x), Math.abs(y))).sort((a, b) => a - b);
  return Math.min(Math.max(1.15 * (far[Math.floor(0.99 * (far.length - 1))] ?? 0), 3), 12);
}
