// The controls that charts share; their state lives in the address, so that a view can be sent to someone.

const CONTROLS = ["metric", "smoothing", "dots", "log", "top"];

/** What the controls say. */
export function settings() {
  const of = (id) => document.getElementById(id);
  return {
    metric: of("metric")?.value || "val_loss",
    weight: Number(of("smoothing")?.value ?? 0.6),
    dots: of("dots")?.checked ?? true,
    log: of("log")?.checked ?? true,
    top: Number(of("top")?.value || 30),
  };
}

/** Whether a metric is one that a logarithmic axis suits. */
export function isLoss(metric) {
  return metric.includes("loss") || metric.includes("norm") || metric === "lr";
}

/** Restore the controls from the address, and call `changed(id)` when one of them is turned. */
export function watch(changed) {
  const query = new URLSearchParams(location.search);
  for (const id of CONTROLS) {
    const control = document.getElementById(id);
    if (!control) continue;
    if (query.has(id)) restore(control, query.get(id));
    control.addEventListener("input", () => { remember(id, control); say(); changed(id); });
  }
  say();
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { "[": -0.1, "]": 0.1 }[event.key];
    if (step) turn("smoothing", (control) => { control.value = Number(control.value) + step; });
    if (event.key === "l") turn("log", (control) => { control.checked = !control.checked; });
    if (event.key === "p") turn("dots", (control) => { control.checked = !control.checked; });
  });
}

function turn(id, change) {
  const control = document.getElementById(id);
  if (!control) return;
  change(control);
  control.dispatchEvent(new Event("input"));
}

function restore(control, text) {
  if (control.type === "checkbox") control.checked = text === "1";
  else if (control.tagName !== "SELECT" || [...control.options].some((one) => one.value === text)) control.value = text;
}

function remember(id, control) {
  const query = new URLSearchParams(location.search);
  query.set(id, control.type === "checkbox" ? (control.checked ? "1" : "0") : control.value);
  history.replaceState(null, "", `?${query}${location.hash}`);
}

function say() {
  const output = document.getElementById("smoothing-value");
  if (output) output.textContent = Number(document.getElementById("smoothing").value).toFixed(2);
}

/** JSON of one of the pages' own routes; an error with the server's sentence. */
export async function fetched(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}
