// Rows of the trial table that are chosen, by box, key or range: kept while news replace the rows, acted on together.

import { visible } from "./app.js";

const chosen = new Set(); // trials, by id
const bar = document.getElementById("selection");
const said = document.getElementById("selection-said");
let last = null; // the trial that a range begins at

const boxOf = (row) => row.querySelector(".pick input");
const shown = () => visible(document.getElementById("trials"));

/** Show what is chosen in the table as it is now. */
export function mark() {
  if (!bar) return;
  const rows = [...document.getElementById("trials").tBodies[0].rows];
  for (const row of rows) {
    boxOf(row).checked = chosen.has(row.dataset.trial);
    row.classList.toggle("chosen", chosen.has(row.dataset.trial));
  }
  const seen = shown().filter((row) => chosen.has(row.dataset.trial)).length;
  const all = document.getElementById("select-all");
  all.checked = seen > 0 && seen === shown().length;
  all.indeterminate = seen > 0 && !all.checked;
  bar.hidden = !chosen.size;
  document.getElementById("selected").textContent = `${chosen.size} selected${seen < chosen.size ? `, ${chosen.size - seen} not shown` : ""}`;
}

function choose(trials, on) {
  for (const trial of trials) on ? chosen.add(trial) : chosen.delete(trial);
  mark();
}

function clicked(event) {
  const row = event.target.closest("#trials tbody tr");
  if (event.target.id !== "select-all" && (!row || event.target !== boxOf(row))) return;
  said.replaceChildren();
  if (!row) return choose(shown().map((one) => one.dataset.trial), event.target.checked);
  const trials = shown().map((one) => one.dataset.trial);
  const [from, to] = [trials.indexOf(event.shiftKey ? last : row.dataset.trial), trials.indexOf(row.dataset.trial)];
  choose(from < 0 ? [row.dataset.trial] : trials.slice(Math.min(from, to), Math.max(from, to) + 1), event.target.checked);
  last = row.dataset.trial;
}

async function act(event, changed) {
  event.preventDefault();
  const form = new URLSearchParams({ csrf: bar.elements.csrf.value, action: event.submitter.value, trials: [...chosen].join() });
  const buttons = [...bar.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  try {
    const answer = await fetch(bar.action, { method: "POST", body: form, headers: { Accept: "application/json" } });
    const deed = await answer.json();
    if (!answer.ok) throw new Error(deed.detail || answer.statusText);
    tell(deed);
    chosen.clear();
    choose(deed.refused.map(String), true);
    await changed();
  } catch (error) {
    said.textContent = error.message;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function tell({ text, studies }) {
  said.replaceChildren(text, ...studies.flatMap((name) => [" ", Object.assign(document.createElement("a"), { href: `/studies/${encodeURIComponent(name)}`, textContent: name })]));
}

/** Let rows be chosen; `changed()` is called after something was done to them. */
export function selection(changed) {
  if (!bar) return;
  document.addEventListener("click", clicked);
  document.addEventListener("input", (event) => { if (event.target.id === "expression") mark(); });
  document.getElementById("unselect").addEventListener("click", () => choose([...chosen], false));
  bar.addEventListener("submit", (event) => act(event, changed));
  mark();
}
