// One trial: a chart for each family of its metrics.

import { draw } from "./chart.js";
import { fetched, isLoss, settings, watch } from "./controls.js";

const root = document.getElementById("trial");
const FAMILIES = [
  ["losses", (name) => name.includes("loss")],
  ["accuracies", (name) => name.includes("accuracy")],
];
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

watch(show);
lay(await fetched(`/trials/${root.dataset.trial}/metrics`));
show();
new ResizeObserver(show).observe(root);
