// The trial table's filter: comparisons joined by `and`, such as `val_loss < 0.9 and learning_rate > 1e-4`.

const COMPARISON = /^\s*([A-Za-z_][\w./-]*)\s*(<=|>=|!=|==|=|<|>|~)\s*("[^"]*"|\S+)\s*$/;
const TESTS = {
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "~": (a, b) => String(a).includes(String(b)),
};

/** The comparisons of an expression; throws an Error with one sentence for what is none. */
export function parse(text) {
  if (!text.trim()) return [];
  return text.split(/\band\b/i).map((part) => {
    const found = COMPARISON.exec(part);
    if (!found) throw new Error(`“${part.trim()}” is not a comparison such as val_loss < 0.9`);
    const word = found[3].replace(/^"|"$/g, "");
    const number = Number(word);
    return { name: found[1], operator: found[2], value: word === "" || Number.isNaN(number) ? word : number };
  });
}

/** Whether a trial's values meet all comparisons; a name that it has no value of never does. */
export function matches(wanted, trial) {
  return wanted.every(({ name, operator, value }) => {
    const own = trial.params[name] ?? trial.metrics[name] ?? trial[name];
    if (own === undefined || own === null) return false;
    return TESTS[operator](typeof value === "number" ? Number(own) : String(own), value);
  });
}
