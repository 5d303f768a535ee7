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

/** Whether keys go into a field; a checkbox takes none but the space bar. */
export const typing = (event) => Boolean(event.target.closest("input:not([type=checkbox]), select, textarea"));

/** What the address holds of the view under a name; null where it holds nothing. */
export const kept = (name) => new URLSearchParams(location.search).get(name);

/** Keep a part of the view in the address; an empty one is left out. */
export function keep(name, value) {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
}

/** Restore the controls from the address, and call `changed(id)` when one of them is turned. */
export function watch(changed) {
  for (const id of CONTROLS) {
    const control = document.getElementById(id);
    if (!control) continue;
    if (kept(id) !== null) restore(control, kept(id));
    control.addEventListener("input", () => { remember(id, control); say(); changed(id); });
  }
  say();
  document.addEventListener("keydown", (event) => {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
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
  keep(id, control.type === "checkbox" ? (control.checked ? "1" : "0") : control.value);
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
