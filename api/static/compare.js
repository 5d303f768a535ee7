// Several studies: the best trial of each in one chart.

import { draw, finite, short } from "./chart.js";
import { fetched, isLoss, settings, watch } from "./controls.js";

const root = document.getElementById("compare");
const names = root ? root.dataset.studies.split(",") : [];
let series = [];

async function load() {
  const { metric } = settings();
  const said = document.getElementById("curves-shown");
  try {
    const answers = await Promise.all(names.map((name) => fetched(`/studies/${encodeURIComponent(name)}/curves?metric=${encodeURIComponent(metric)}&top=1`)));
    series = answers.flatMap(({ curves }, i) => curves.filter((curve) => curve.series[metric]).map((curve) => ({
      label: `${names[i]} #${curve.number} · ${short(finite(curve.value))}`,
      css: `ink-c${i % 8}`,
      steps: curve.series[metric].steps,
      values: curve.series[metric].values,
      diverged: curve.state === "diverged",
      href: `/trials/${curve.trial_id}`,
    })));
    said.textContent = `${series.length} of ${names.length} studies have it`;
    show();
  } catch (error) {
    said.textContent = error.message;
  }
}

function show() {
  const now = settings();
  draw(root, series, { ...now, log: now.log && isLoss(now.metric), name: `${now.metric} of ${names.join(", ")}` });
}

if (root) {
  watch((id) => (id === "metric" ? load() : show()));
  new ResizeObserver(show).observe(root);
  load();
}
