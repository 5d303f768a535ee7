// Curves as SVG: dots for what was measured, lines for its moving average. Text is only ever set as text.

const NS = "http://www.w3.org/2000/svg";
const MARGIN = { left: 58, right: 14, top: 10, bottom: 34 };
const MAX_DOTS = 12; // series whose single measurements are shown; more would be a cloud

/** Numbers of the API, where non-finite ones travel as strings. */
export function finite(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Exponential moving average without bias at the start, as TensorBoard smooths; gaps stay gaps. */
export function smoothed(values, smoothing) {
  // The slider's memory is meant for a hundred points: five epochs need none, and would only lag behind.
  const weight = smoothing ** Math.max(1, 100 / values.length);
  let average = 0;
  let mass = 0;
  return values.map((raw) => {
    const value = finite(raw);
    if (value === null) return null;
    average = average * weight + value * (1 - weight);
    mass = mass * weight + (1 - weight);
    return average / mass;
  });
}

/** An SVG element with attributes; none of them is ever `style`, which the page's policy forbids. */
export function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** Short text of a number: four significant digits. */
export function short(value) {
  if (value === null) return "–";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/**
 * Draw series into an element, replacing what it held.
 * series: {label, css, steps, values, best, diverged, trial}; options: {log, weight, dots, height, name}.
 */
export function draw(element, series, options) {
  const width = Math.max(element.clientWidth, 320);
  const height = options.height || 340;
  const drawable = series.map((one) => ({ ...one, line: smoothed(one.values, options.weight) }));
  const box = frame(drawable, width, height, options.log);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.name });
  if (!box) {
    picture.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing measured yet"));
    element.replaceChildren(picture);
    return;
  }
  axes(picture, box, width, height);
  const ranked = [...drawable].reverse(); // the best last, so on top
  const many = drawable.length > MAX_DOTS;
  for (const one of ranked) {
    if (options.dots && (!many || drawable.indexOf(one) < MAX_DOTS)) dots(picture, box, one);
    line(picture, box, one, many);
    if (one.diverged) end(picture, box, one);
  }
  for (const one of ranked) hits(picture, box, one, element);
  element.replaceChildren(picture);
}

function frame(series, width, height, log) {
  const usable = (v) => v !== null && (!log || v > 0);
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const one of series) {
    one.values.forEach((raw, i) => {
      const value = finite(raw);
      if (!usable(value) || value > 1e6) return;
      x0 = Math.min(x0, one.steps[i]);
      x1 = Math.max(x1, one.steps[i]);
      y0 = Math.min(y0, value);
      y1 = Math.max(y1, value);
    });
  }
  if (x0 > x1) return null;
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  const scale = log ? Math.log10 : (v) => v;
  let [low, high] = [scale(y0), scale(y1)];
  const pad = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 1;
  [low, high] = [low - pad, high + pad];
  const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
  return {
    log, x0, x1, low, high,
    x: (step) => MARGIN.left + ((step - x0) / (x1 - x0)) * inner.w,
    y: (value) => MARGIN.top + (1 - (scale(value) - low) / (high - low)) * inner.h,
    shows: (value) => usable(value) && value <= 1e6,
  };
}

function ticks(low, high, count) {
  const raw = (high - low) / count;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * base).find((n) => n >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}

function logTicks(low, high) {
  const decades = [];
  const parts = high - low > 3 ? [1] : high - low > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
  for (let d = Math.floor(low); d <= Math.ceil(high); d += 1) {
    for (const part of parts) {
      const at = Math.log10(part) + d;
      if (at >= low && at <= high) decades.push(part * 10 ** d);
    }
  }
  return decades.length >= 2 ? decades : ticks(10 ** low, 10 ** high, 4).filter((v) => v > 0);
}

function axes(picture, box, width, height) {
  const floor = height - MARGIN.bottom;
  const values = box.log ? logTicks(box.low, box.high) : ticks(box.low, box.high, 5);
  for (const value of values) {
    const y = box.y(value);
    picture.append(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
    picture.append(svg("text", { x: MARGIN.left - 7, y: y + 4, "text-anchor": "end" }, short(Number(value.toPrecision(6)))));
  }
  for (const step of ticks(box.x0, box.x1, Math.max(4, Math.floor(width / 110)))) {
    const x = box.x(step);
    picture.append(svg("line", { class: "axis", x1: x, x2: x, y1: floor, y2: floor + 4 }));
    picture.append(svg("text", { x, y: floor + 17, "text-anchor": "middle" }, short(step)));
  }
  picture.append(svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: floor, y2: floor }));
  picture.append(svg("text", { class: "title", x: width - MARGIN.right, y: height - 3, "text-anchor": "end" }, "optimizer step"));
}

function path(box, steps, values) {
  let d = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (!box.shows(value)) return void (pen = "M");
    d += `${pen}${box.x(steps[i]).toFixed(1)} ${box.y(value).toFixed(1)}`;
    pen = "L";
  });
  return d;
}

function line(picture, box, one, many) {
  const css = `curve ${one.css}${one.best ? " best" : many ? " dim" : ""}`;
  const made = svg("path", { class: css, d: path(box, one.steps, one.line) });
  if (one.trial) made.dataset.trial = one.trial;
  picture.append(made);
}

function dots(picture, box, one) {
  one.values.forEach((raw, i) => {
    const value = finite(raw);
    if (!box.shows(value)) return;
    const made = svg("circle", { class: `point ${one.css}`, cx: box.x(one.steps[i]).toFixed(1), cy: box.y(value).toFixed(1), r: 2 });
    if (one.trial) made.dataset.trial = one.trial;
    picture.append(made);
  });
}

function end(picture, box, one) {
  let last = -1;
  one.values.forEach((value, i) => { if (box.shows(finite(value))) last = i; });
  if (last < 0) return;
  const [x, y] = [box.x(one.steps[last]), box.y(one.values[last])];
  picture.append(svg("path", { class: "end", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` }));
}

function hits(picture, box, one, element) {
  const made = svg("path", { class: "hit", d: path(box, one.steps, one.line) });
  if (one.trial) made.dataset.trial = one.trial;
  made.addEventListener("pointermove", (event) => tip(element, one, event));
  made.addEventListener("pointerleave", () => element.querySelector(".tip")?.remove());
  if (one.href) made.addEventListener("click", () => { location.href = one.href; });
  picture.append(made);
}

function tip(element, one, event) {
  let shown = element.querySelector(".tip");
  if (!shown) element.append((shown = Object.assign(document.createElement("div"), { className: "tip" })));
  shown.textContent = one.label;
  const bounds = element.getBoundingClientRect();
  const left = Math.min(event.clientX - bounds.left + 14, bounds.width - shown.offsetWidth - 4);
  // Set by script, which the policy allows, not as an attribute.
  shown.style.left = `${Math.max(left, 0)}px`;
  shown.style.top = `${event.clientY - bounds.top + 14}px`;
}
