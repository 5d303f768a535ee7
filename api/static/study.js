// One study: the curve wall, what mattered, and news as they come.

import { applyFilters, applySort } from "./app.js";
import { draw, finite, short, svg } from "./chart.js";
import { fetched, isLoss, settings, watch } from "./controls.js";
import { parallel } from "./parallel.js";
import { mark, selection } from "./selection.js";

const root = document.getElementById("study");
const name = encodeURIComponent(root.dataset.study);
const wall = document.getElementById("wall");
const QUIET_MS = 1000; // between two looks at the server while news pour in
const LONG_MS = 30_000; // without news the time left grows old
let listed = { curves: [], total: 0, shown: 0 };
let following = false;

function seriesOf({ metric }) {
  const places = listed.curves.length;
  return listed.curves
    .filter((curve) => curve.series[metric]?.steps.length)
    .map((curve, rank) => ({
      label: `#${curve.number} · ${metric} ${short(finite(curve.value))} · ${paramsText(curve.params)}`,
      css: rank === 0 ? "ink-best" : `s${Math.min(7, Math.floor((8 * rank) / Math.max(places, 8)))}`,
      steps: curve.series[metric].steps,
      values: curve.series[metric].values,
      best: rank === 0,
      diverged: curve.state === "diverged",
      trial: String(curve.trial_id),
      href: `/trials/${curve.trial_id}`,
    }));
}

const paramsText = (params) => Object.entries(params).map(([key, value]) => `${key} ${typeof value === "number" ? short(value) : value}`).join(", ");

function show() {
  const now = settings();
  const series = seriesOf(now);
  draw(wall, series, { ...now, log: now.log && isLoss(now.metric), name: `${now.metric} of ${series.length} trials` });
  document.getElementById("curves-shown").textContent = `showing ${series.length} of ${listed.total} trials`;
  table(now.metric);
  parallel(document.getElementById("parallel"), [...document.querySelectorAll("#trials tbody tr")].map((row) => ({ trial: row.dataset.trial, ...JSON.parse(row.dataset.values) })), document.querySelector("[data-objective]").dataset);
}

function table(metric) {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const word of ["trial", "state", "parameters", "points", `last ${metric}`, `lowest`, `highest`]) {
    head.append(Object.assign(document.createElement("th"), { textContent: word }));
  }
  const body = made.createTBody();
  for (const curve of listed.curves) {
    const values = (curve.series[metric]?.values || []).map(finite).filter((v) => v !== null);
    const row = body.insertRow();
    const cells = [`#${curve.number}`, curve.state, paramsText(curve.params), values.length, values.length ? short(values.at(-1)) : "–", values.length ? short(Math.min(...values)) : "–", values.length ? short(Math.max(...values)) : "–"];
    for (const cell of cells) row.insertCell().textContent = cell;
  }
  document.getElementById("wall-table").replaceChildren(made);
}

async function load() {
  const { metric, top } = settings();
  try {
    listed = await fetched(`/studies/${name}/curves?metric=${encodeURIComponent(metric)}&top=${Math.min(Math.max(top, 1), 1000)}`);
    show();
  } catch (error) {
    document.getElementById("curves-shown").textContent = error.message;
  }
}

async function mattered() {
  const place = document.getElementById("importances");
  try {
    const found = await fetched(`/studies/${name}/importances`);
    const shares = Object.entries(found.importances);
    const made = document.createElement(shares.length ? "dl" : "p");
    made.className = shares.length ? "bars" : "facts";
    if (!shares.length) made.textContent = `Nothing to say yet: ${found.trials} trials with a value, and at least 4 that differ are needed.`;
    for (const [param, share] of shares) made.append(...bar(param, share));
    place.replaceChildren(made);
    if (shares.length) place.append(Object.assign(document.createElement("p"), { className: "facts", textContent: `Share of ${found.metric} that each parameter explains over ${found.trials} trials (PED-ANOVA).` }));
  } catch (error) {
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "facts", textContent: error.message }));
  }
}

function bar(param, share) {
  const picture = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(svg("rect", { x: 0, y: 0, width: Math.max(100 * share, 0.3), height: 10 }));
  const words = Object.assign(document.createElement("span"), { textContent: `${(100 * share).toFixed(1)} %` });
  const value = document.createElement("dd");
  value.append(picture, words);
  return [Object.assign(document.createElement("dt"), { textContent: param }), value];
}

/** Bring the server's newest head, cards and rows into this page; where one looks stays as it is. */
async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const at = root.querySelector("tr.at")?.dataset.trial;
  for (const part of root.querySelectorAll("[data-fresh]")) {
    const other = fresh.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
    if (other) part.replaceChildren(...other.childNodes);
  }
  if (at) root.querySelector(`#trials tr[data-trial="${CSS.escape(at)}"]`)?.classList.add("at");
  applySort();
  applyFilters();
  mark();
  await load();
  if (!following && fresh.getElementById("study").dataset.live === "yes") follow(fresh.getElementById("study").dataset.after);
}

function follow(after) {
  const news = new EventSource(`/studies/${name}/events?after=${after}`);
  following = true;
  let due = null;
  const soon = () => { due ??= setTimeout(() => { due = null; refresh(); }, QUIET_MS); };
  const nowAndThen = setInterval(() => { if (!document.hidden) soon(); }, LONG_MS);
  news.addEventListener("message", soon);
  news.addEventListener("end", () => { news.close(); clearInterval(nowAndThen); following = false; soon(); mattered(); });
}

function light(event) {
  const trial = event.target.closest?.("[data-trial]")?.dataset.trial;
  for (const one of document.querySelectorAll(".lit")) one.classList.remove("lit");
  for (const chart of [wall, document.getElementById("parallel")]) chart.classList.toggle("hovering", Boolean(trial));
  if (trial) for (const one of document.querySelectorAll(`[data-trial="${CSS.escape(trial)}"]`)) one.classList.add("lit");
}

watch((id) => (id === "metric" || id === "top" ? load() : show()));
document.addEventListener("pointerover", light);
new ResizeObserver(show).observe(wall);
load();
mattered();
selection(refresh);
if (root.dataset.live === "yes") follow(root.dataset.after);
