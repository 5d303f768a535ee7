"""The log of a run made elsewhere -> curves in our names, and a count of all that was odd about it.

`runtable` reads the file, `metric_names` guesses what a column measures; here its numbers become curves.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpsearch.errors import InvalidInput, unknown
from hpsearch.metric_names import Meaning, is_epoch, is_step, meaning, normal
from hpsearch.runtable import Cell, Table, read_table

GAP = 1.5  # times a curve's usual distance between steps
UNNAMED = "value"  # TensorBoard's name for the one column of its exports
RARELY = 2  # a column measured so many times as often as the evaluations is one of minibatches

Curves = dict[str, tuple[list[int], list[float]]]


@dataclass(frozen=True)
class RunLog:
    """`curves`: metric -> (steps, values), steps rising, values as they stand, NaN among them.

    `columns`: metric -> the column it was read from. `unused`: columns that were not read as anything.
    `warnings`: one sentence for each oddity, with its count. `axis`: what steps are: step, epoch or row.
    """

    curves: Curves
    columns: dict[str, str]
    unused: tuple[str, ...]
    warnings: tuple[str, ...]
    axis: str


def read_run_log(path: Path, *, metric: str | None = None, names: Mapping[str, str] | None = None) -> RunLog:
    """The run whose log is `path`: CSV, JSON or JSON lines.

    `names`: column -> metric, said by the user, before any guess. `metric`: what the column of a file with
    one nameless column measures. Raises InvalidInput with one sentence for a file that is no such log.
    """
    table = read_table(path)
    rows = table.numbers()
    columns = _without_axis(table, _chosen(table, rows, names or {}, metric))
    said = set((names or {}).values())
    if not any(name in said or name == "loss" or name.startswith(("train_", "val_")) for name in columns):
        listed = ", ".join(table.columns[:12]) or "(none)"
        raise InvalidInput(
            f"{path} has no column that reads as a loss or a metric; its columns: {listed}",
            hint="say what a column is: --map COLUMN=val_loss",
        )
    axis, steps = _steps(table, rows)
    curves: Curves = {}
    odd: dict[str, list[str]] = {}
    for name, column in sorted(columns.items()):
        curves[name], sentences = _curve(steps, [row.get(column) for row in rows], axis)
        for sentence in sentences:
            odd.setdefault(sentence, []).append(name)
    warnings = (*table.warnings, *(f"{', '.join(who)}: {sentence}" for sentence, who in odd.items()))
    unused = tuple(c for c in table.columns if c not in columns.values() and not (is_step(c) or is_epoch(c)))
    return RunLog(curves, columns, unused, warnings, axis)


# --- which column is what ------------------------------------------------------------------------


def _chosen(
    table: Table, rows: Sequence[Mapping[str, Cell]], names: Mapping[str, str], metric: str | None
) -> dict[str, str]:
    """metric -> column: what the user said, then the best guess for each further name."""
    for column in names:
        if column not in table.columns:
            raise InvalidInput(f"{table.name}: {unknown('column', column, table.columns)}")
    said = {name: column for column, name in names.items()}
    counts = {c: sum(isinstance(row.get(c), float) for row in rows) for c in table.columns}
    guessable = [c for c in table.columns if c not in names and counts[c]]
    if not said and [normal(c) for c in guessable if meaning(c) is not None] == [UNNAMED]:
        said[_unnamed(table, metric)] = next(c for c in guessable if normal(c) == UNNAMED)
        return said
    _refuse_several_runs(table, guessable)
    read = [(column, meaning(column.rpartition(" - ")[2])) for column in guessable]
    # A name that is neither known nor of a split may count anything.
    guesses = [
        (column, found) for column, found in read if found is not None and (found.known or found.split)
    ]
    evaluations = max((counts[c] for c, m in guesses if m.split == "val"), default=0)
    has_validation = any(m.split == "val" and m.known for _, m in guesses)
    best: dict[str, str] = {}
    for column, found in guesses:
        name = _our_name(found, counts[column], evaluations, has_validation=has_validation)
        # Of several columns that read alike, the one with our own name, else the fullest.
        rival = best.get(name)
        if rival is None or (normal(column) == name, counts[column]) > (normal(rival) == name, counts[rival]):
            best[name] = column
    return {**{n: c for n, c in best.items() if n not in said}, **said}


def _our_name(found: Meaning, count: int, evaluations: int, *, has_validation: bool) -> str:
    """`loss` is of minibatches, `train_loss` and `val_loss` of evaluations, whatever their columns say."""
    split, kind = found.split, found.kind
    if split == "test" and found.known and not has_validation:
        split = "val"
    of_training = split in ("", "train")
    if kind == "loss" and of_training:
        often = found.pace == "step" or (found.pace == "" and count >= RARELY * max(evaluations, 1))
        return "loss" if often or not evaluations else "train_loss"
    if found.known and of_training and kind not in ("learning_rate", "grad_norm", "update_ratio"):
        return f"train_{kind}"
    return f"{split}_{kind}" if split else kind


def _unnamed(table: Table, metric: str | None) -> str:
    """TensorBoard's exports name their column Value, and the file after the run and the tag."""
    if metric is not None:
        return metric
    tag = Path(table.name).stem.rpartition("tag-")[2]
    found = meaning(tag)
    if found is not None and found.known:
        split = found.split or ("val" if "validation" in table.name or "val" in table.name else "train")
        return "loss" if (split, found.kind) == ("train", "loss") else f"{split}_{found.kind}"
    raise InvalidInput(
        f"{table.name} has one column of numbers, named 'Value'",
        hint="say what it measures: --metric val_loss",
    )


def _refuse_several_runs(table: Table, columns: Sequence[str]) -> None:
    """W&B exports a chart as one column a run, `run - metric`."""
    runs = list(dict.fromkeys(c.rpartition(" - ")[0] for c in columns if " - " in c))
    if len(runs) > 1:
        shown = ", ".join(runs[:5]) + (", …" if len(runs) > 5 else "")
        raise InvalidInput(
            f"{table.name} holds {len(runs)} runs ({shown}); a diagnosis is of one run",
            hint="export one run, or name its columns: --map 'COLUMN=val_loss'",
        )


def _without_axis(table: Table, columns: dict[str, str]) -> dict[str, str]:
    for name, column in columns.items():
        if is_step(column) or is_epoch(column):
            raise InvalidInput(f"{table.name}: column {column!r} counts steps, it can't be {name}")
    return columns


# --- its numbers ---------------------------------------------------------------------------------


def _steps(table: Table, rows: Sequence[Mapping[str, Cell]]) -> tuple[str, list[int | None]]:
    """What counts the steps, and each row's; rows are counted where no column does."""
    for axis, is_axis in (("step", is_step), ("epoch", is_epoch)):
        for column in (c for c in table.columns if is_axis(c)):
            found = [row.get(column) for row in rows]
            whole = [c for c in found if isinstance(c, float) and math.isfinite(c)]
            if whole and all(c.is_integer() for c in whole):
                return axis, [int(c) if isinstance(c, float) and math.isfinite(c) else None for c in found]
    return "row", list(range(1, len(rows) + 1))


def _curve(
    steps: Sequence[int | None], cells: Sequence[Cell], axis: str
) -> tuple[tuple[list[int], list[float]], list[str]]:
    """One column's points in order of steps, and what was odd about them."""
    points: list[tuple[int, float]] = []
    text, lost = 0, 0
    for step, cell in zip(steps, cells, strict=True):
        if cell is None:
            continue  # another metric's row
        if isinstance(cell, str):
            text += 1
        elif step is None:
            lost += 1
        else:
            points.append((step, cell))
    backwards = sum(later[0] < earlier[0] for earlier, later in itertools.pairwise(points))
    kept = dict(points)  # of a step that stands twice, the last counts
    ordered = sorted(kept.items())
    curve = [step for step, _ in ordered], [value for _, value in ordered]
    odd = _oddities(curve, axis, text, lost, len(points) - len(kept), backwards)
    return curve, list(odd)


def _oddities(
    curve: tuple[list[int], list[float]],
    axis: str,
    text: int,
    lost: int,
    twice: int,
    backwards: int,
) -> Iterator[str]:
    if text:
        yield f"{_counted(text, 'cell is', 'cells are')} not a number; left out"
    if lost:
        yield f"{_counted(lost, 'value has', 'values have')} no {axis}; left out"
    if twice:
        yield f"{_counted(twice, f'{axis} stands', f'{axis}s stand')} twice; the last one counts"
    if backwards:
        yield f"{_counted(backwards, f'{axis} is', f'{axis}s are')} out of order; sorted"
    odd = sum(not math.isfinite(value) for value in curve[1])
    if odd:
        yield f"{_counted(odd, 'value is', 'values are')} NaN or infinite"
    gaps, missing = _gaps(curve[0])
    if gaps:
        yield f"{_counted(gaps, 'gap', 'gaps')}, about {_counted(missing, 'value', 'values')} missing"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _gaps(steps: Sequence[int]) -> tuple[int, int]:
    """How many distances are longer than the usual one, and how many points they may have lost."""
    distances = np.diff(np.asarray(steps, dtype=float))
    if len(distances) < 2:
        return 0, 0
    usual = float(np.median(distances))
    wide = distances[distances > GAP * usual]
    return len(wide), int(np.round(wide / usual - 1).sum())
