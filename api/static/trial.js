// One trial: a chart for each family of its metrics, and its diagnosis as it comes.

import { draw } from "./chart.js";
import { fetched, isLoss, settings, watch } from "./controls.js";

const root = document.getElementById("trial");
const FAMILIES = [
  ["losses", (name) => name.includes("loss")],
  ["accuracies", (name) => name.includes("accuracy")],
];
const QUIET_MS = 500; // between two looks at the server while news pour in
let charts = [];

function families(series) {
  const names = Object.keys(series).filter((name) => series[name].steps.length);
  const found = FAMILIES.map(([title, belongs]) => [title, names.filter(belongs)]);
  const rest = names.filter((name) => !FAMILIES.some(([, belongs]) => belongs(name)));
  return [...found, ...rest.map((name) => [name, [name]])].filter(([, members]) => members.length);
}

function show() {
  const now = settings();
  for (const { element, title, series } of charts) {
    draw(element, series, { ...now, log: now.log && isLoss(title === "losses" ? "loss" : title), height: 240, name: title });
  }
}

function lay(series) {
  charts = families(series).map(([title, names]) => {
    const part = document.createElement("div");
    const element = Object.assign(document.createElement("div"), { className: "chart" });
    const legend = Object.assign(document.createElement("p"), { className: "legend" });
    names.forEach((name, i) => {
      const key = Object.assign(document.createElement("span"), { className: "key" });
      key.append(Object.assign(document.createElement("i"), { className: `ink-c${i % 8}` }), name);
      legend.append(key);
    });
    part.append(Object.assign(document.createElement("h3"), { textContent: title }), element, legend);
    root.append(part);
    const lines = names.map((name, i) => ({ label: name, css: `ink-c${i % 8}`, steps: series[name].steps, values: series[name].values }));
    return { element, title, series: lines };
  });
  if (!charts.length) root.append(Object.assign(document.createElement("p"), { className: "facts", textContent: "Nothing measured yet." }));
}

/** While probes are under way, each piece of news brings the diagnosis as it is then into this page. */
function follow(place) {
  const news = new EventSource(`/studies/${encodeURIComponent(place.dataset.follow)}/events?after=${place.dataset.after}`);
  const renew = async () => {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("diagnosis");
    if (!fresh) return;
    place.replaceChildren(...fresh.childNodes);
    if (!fresh.dataset.follow) news.close();
  };
  let due = null;
  const soon = () => { due ??= setTimeout(() => { due = null; renew(); }, QUIET_MS); };
  news.addEventListener("message", soon);
  news.addEventListener("end", () => { news.close(); soon(); });
}

const diagnosis = document.getElementById("diagnosis");
if (diagnosis?.dataset.follow) follow(diagnosis);
watch(show);
lay(await fetched(`/trials/${root.dataset.trial}/metrics`));
show();
new ResizeObserver(show).observe(root);
