// Parallel coordinates: an axis a parameter, a line a trial, the objective last.

import { finite, short, svg } from "./chart.js";

const HEIGHT = 300;
const PAD = { top: 34, bottom: 26, side: 70 };
const MOST = 300; // lines; the table below holds every trial

/** Draw trials with a value (on the whole data) into an element; nothing is drawn of fewer than two, or where nothing varies. */
export function parallel(element, trials, { objective, direction }) {
  const sign = direction === "maximize" ? -1 : 1;
  const ranked = trials.filter((one) => one.whole && finite(one.value) !== null).sort((a, b) => sign * (a.value - b.value)).slice(0, MOST);
  const names = [...new Set(ranked.flatMap((one) => Object.keys(one.params)))];
  const axes = names.map((name) => axis(name, ranked.map((one) => one.params[name]))).filter((one) => one.varies);
  const width = Math.max(element.clientWidth, 320);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `parameters and ${objective} of ${ranked.length} trials` });
  element.replaceChildren(picture);
  if (ranked.length < 2 || !axes.length) {
    picture.append(svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "fewer than two trials that differ"));
    return;
  }
  axes.push(axis(objective, ranked.map((one) => one.value), false));
  const x = (i) => PAD.side + (i * (width - 2 * PAD.side)) / (axes.length - 1);
  for (const [rank, one] of [...ranked.entries()].reverse()) {
    const shown = axes.map((each, i) => [x(i), each.at(i < axes.length - 1 ? one.params[each.name] : one.value)]);
    const d = shown.filter(([, y]) => y !== null).map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
    const css = rank === 0 ? "ink-best best" : `s${Math.min(7, Math.floor((8 * rank) / ranked.length))} dim`;
    const line = svg("path", { class: `curve ${css}`, d });
    line.dataset.trial = one.trial;
    picture.append(line);
  }
  axes.forEach((each, i) => label(picture, each, x(i)));
}

function axis(name, values, mayBeLog = true) {
  const present = values.filter((value) => value !== undefined && value !== null);
  const different = [...new Set(present)];
  const floor = HEIGHT - PAD.bottom;
  const span = floor - PAD.top;
  if (different.every((value) => typeof value === "number")) {
    const [low, high] = [Math.min(...different), Math.max(...different)];
    const log = mayBeLog && low > 0 && high / low >= 20;
    const scale = log ? Math.log10 : (value) => value;
    const at = (value) => (finite(value) === null ? null : floor - (span * (scale(value) - scale(low))) / (scale(high) - scale(low) || 1));
    return { name, varies: different.length > 1, at, marks: [low, high].map((value) => [short(value), at(value)]) };
  }
  const words = different.map(String).sort();
  const at = (value) => (value === undefined || value === null ? null : floor - (span * words.indexOf(String(value))) / Math.max(words.length - 1, 1));
  return { name, varies: words.length > 1, at, marks: words.slice(0, 12).map((word) => [word, at(word)]) };
}

function label(picture, each, x) {
  picture.append(svg("line", { class: "axis", x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }));
  picture.append(svg("text", { class: "note", x, y: PAD.top - 18, "text-anchor": "middle" }, each.name));
  for (const [word, y] of each.marks) picture.append(svg("text", { x: x + 6, y: y + 4 }, word));
}
