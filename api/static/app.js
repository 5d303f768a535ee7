// Every page: keys, filters, sortable tables, questions before what can't be undone.

import { keep, kept, typing } from "./controls.js";
import { matches, parse } from "./expression.js";

/** The rows of a table that no filter hides. */
export const visible = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);

/** Show how many of how many rows a table shows. */
export function count(table) {
  const said = document.querySelector(`[data-shown="#${table.id}"]`);
  if (!said) return;
  said.dataset.all ??= said.textContent.match(/of (\d+)/)?.[1] ?? "";
  said.textContent = `showing ${visible(table).length} of ${said.dataset.all}`;
}

/** Hide the rows that the filters do not match. */
export function applyFilters() {
  for (const input of document.querySelectorAll("[data-filter]")) {
    const table = document.querySelector(input.dataset.filter);
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!table) continue;
    for (const row of table.tBodies[0].rows) {
      const text = (row.dataset.text || row.textContent).toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    count(table);
  }
  const field = document.getElementById("expression");
  const table = document.getElementById("trials");
  if (!field || !table) return;
  const said = document.getElementById("expression-error");
  try {
    const wanted = parse(field.value);
    for (const row of table.tBodies[0].rows) row.hidden = !matches(wanted, JSON.parse(row.dataset.values));
    said.textContent = "";
  } catch (error) {
    said.textContent = error.message;
  }
  count(table);
}

/** Sort a table as the address says: by the column of this name, downwards after a `-`. */
export function applySort() {
  const wanted = kept("sort");
  const down = wanted?.startsWith("-");
  const button = [...document.querySelectorAll("[data-sort]")].find((one) => one.textContent === wanted?.replace(/^-/, ""));
  if (!button) return;
  const head = button.closest("th");
  const table = button.closest("table");
  const column = Number(button.dataset.sort);
  for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].textContent.trim();
  const rank = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === y) return 0;
    if (x === "–" || x === "") return 1; // what has no value goes last, whichever way
    if (y === "–" || y === "") return -1;
    const order = Number.isNaN(Number(x)) || Number.isNaN(Number(y)) ? x.localeCompare(y) : Number(x) - Number(y);
    return down ? -order : order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(rank));
}

function sortBy(button) {
  const up = button.closest("th").getAttribute("aria-sort") === "ascending";
  keep("sort", `${up ? "-" : ""}${button.textContent}`);
  applySort();
}

function walk(direction) {
  const table = document.querySelector("table.rows");
  if (!table) return;
  const rows = visible(table);
  const at = rows.findIndex((row) => row.classList.contains("at"));
  const next = rows[Math.min(Math.max(at + direction, 0), rows.length - 1)];
  rows[at]?.classList.remove("at");
  next?.classList.add("at");
  next?.scrollIntoView({ block: "nearest" });
}

function pressed(event) {
  if (typing(event)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") document.getElementById("help").showModal();
  if (event.key === "j") walk(1);
  if (event.key === "k") walk(-1);
  if (event.key === "x" || event.key === "X") select(document.querySelector("tr.at"), event.shiftKey);
  if (event.key === "Enter" && !pressable(event.target)) open(document.querySelector("tr.at"));
  if (event.key === "/") {
    event.preventDefault();
    (document.getElementById("expression") || document.querySelector("[data-filter]"))?.focus();
  }
}

// A closed dialog's button keeps the focus until the browser paints again, so it has to be seen to count.
function pressable(target) {
  return target.closest("a, button, input, summary")?.checkVisibility();
}

function select(row, shiftKey) {
  row?.querySelector("input[type=checkbox]")?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey }));
}

function open(row) {
  if (row?.dataset.href) location.href = row.dataset.href;
}

document.addEventListener("keydown", pressed);
document.addEventListener("input", (event) => {
  if (event.target.matches("#expression")) keep("filter", event.target.value);
  if (event.target.matches("[data-filter], #expression")) applyFilters();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sort]");
  if (button) return sortBy(button);
  if (!event.target.closest("a, button, input, label")) open(event.target.closest("tr[data-href]"));
});
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

const expression = document.getElementById("expression");
if (expression && kept("filter")) {
  expression.value = kept("filter");
  applyFilters();
}
applySort();
