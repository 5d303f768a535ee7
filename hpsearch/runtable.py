"""A file of a run's numbers as rows of named cells: CSV, JSON or JSON lines."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import InvalidInput

MAX_BYTES = 256 * 2**20
BINARY_LOOK = 8_192  # bytes looked at for zeros, which no text holds
LONGEST_NAME = 200  # characters of a column's name that are kept
DELIMITERS = (",", ";", "\t", "|")
BLANK = frozenset({"", "none", "null", "na", "n/a", "-", "–"})
# Rows that sum a run up instead of being measured on its way: the HF trainer's last one.
SUMMARY = "train_runtime"
# A study's export has a row a trial, not a row a step.
OF_TRIALS = frozenset({"number", "stage", "params", "replicate"})

Cell = float | str | None


@dataclass(frozen=True)
class Table:
    """`rows[i]` holds the cells of one line, absent where blank. `warnings`: what was left out, counted."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...] = ()

    def numbers(self) -> list[dict[str, Cell]]:
        """Each row's cells as numbers, as text where they are none, None where blank."""
        return [{name: number_of(cell) for name, cell in row.items()} for row in self.rows]


def read_table(path: Path) -> Table:
    """Raises InvalidInput with one sentence for what is no table: absent, empty, binary, another kind."""
    text = _text(path)
    start = text.lstrip()[:1]
    table = _json_table(str(path), text) if start in ("{", "[") else _csv_table(str(path), text)
    if set(table.columns) >= OF_TRIALS:
        raise InvalidInput(
            f"{path} is the export of a study's trials, not the log of one run",
            hint="judge one of them: hpsearch diagnose --trial ID",
        )
    if not table.rows:
        raise InvalidInput(f"{path} has a header and no rows: there is nothing to judge")
    return table


def number_of(cell: Any) -> Cell:
    """A cell as a number (`nan`, `Infinity`, `1,5` of a semicolon file included), its text, or None."""
    if cell is None or isinstance(cell, bool | list | dict):
        return None if cell is None else str(cell)
    if isinstance(cell, int | float):
        try:
            return float(cell)
        except OverflowError:
            return math.inf
    text = str(cell).strip()
    if text.lower() in BLANK:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder; give the log of one run")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB; give the log of one run")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"no file {path}", hint=_beside(path)) from None
    except OSError as error:
        raise InvalidInput(f"can't read {path}: {error.strerror}") from None
    if not raw.strip():
        raise InvalidInput(f"{path} is empty: there is no run to judge")
    if b"\0" in raw[:BINARY_LOOK]:
        raise InvalidInput(f"{path} is a binary file; a log is CSV, JSON or JSON lines", hint=_instead(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text; a log is CSV, JSON or JSON lines") from None


def _beside(path: Path) -> str:
    logs = sorted(p.name for p in path.parent.glob("*") if p.suffix in (".csv", ".jsonl", ".json", ".py"))
    if not logs:
        return "give task.py:MyModel, a CSV or JSON lines log, or --trial ID"
    return f"files there: {', '.join(logs[:8])}"


def _instead(path: Path) -> str | None:
    if "tfevents" in path.name:
        return "export its scalars as CSV from TensorBoard"
    return None


# --- CSV -----------------------------------------------------------------------------------------


def _csv_table(name: str, text: str) -> Table:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InvalidInput(f"{name} holds only comments: there is no run to judge")
    delimiter = max(DELIMITERS, key=lines[0].count)
    try:
        header, *body = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    except csv.Error as error:
        raise InvalidInput(f"{name} is not CSV: {error}") from None
    header = [cell.strip() for cell in header]
    if all(isinstance(number_of(cell), float) for cell in header):
        raise InvalidInput(
            f"{name} has no header line: its first line is {lines[0][:60]!r}",
            hint="name the columns in the first line, such as step,loss,val_loss",
        )
    if len(header) == 1 and len(lines) > 1 and " " in lines[1].strip():
        raise InvalidInput(f"{name} reads as plain text, not as CSV: its first line is {lines[0][:60]!r}")
    columns = _distinct(header)
    decimal_comma = delimiter == ";"
    rows = [dict(zip(columns, _cells(row, decimal_comma=decimal_comma), strict=False)) for row in body]
    odd = sum(len(row) != len(header) for row in body)
    warnings = (f"{odd} of {len(body)} lines have not {len(header)} cells",) if odd else ()
    return Table(name, columns, tuple(rows), warnings)


def _cells(row: Sequence[str], *, decimal_comma: bool) -> list[str]:
    return [cell.replace(",", ".") for cell in row] if decimal_comma else list(row)


def _distinct(header: Sequence[str]) -> tuple[str, ...]:
    """Names without repeats: the second `loss` is `loss.2`; a nameless index column is `column 1`."""
    seen: dict[str, int] = {}
    names = []
    for place, cell in enumerate(header, start=1):
        name = _shown(cell) or f"column {place}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return tuple(names)


# --- JSON ----------------------------------------------------------------------------------------


def _json_table(name: str, text: str) -> Table:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" and "\n" not in text.strip():
            raise InvalidInput(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
        return _json_lines(name, text)
    except RecursionError:
        raise InvalidInput(f"{name} is nested too deeply to be a log") from None
    rows = list(_rows_of(whole))
    if not rows:
        raise InvalidInput(
            f"{name} is JSON, but no log of a run",
            hint="a log is a list of {step, loss, ...}, lines of them, or {loss: [...], val_loss: [...]}",
        )
    return _of_rows(name, rows, [])


def _rows_of(whole: Any) -> Iterator[Mapping[str, Any]]:
    """Rows of a list of records, the HF trainer's state, Keras' history, our own curves, or one record."""
    match whole:
        case {"log_history": list(history)} | {"history": list(history)}:
            yield from (row for row in history if isinstance(row, dict))
        case list():
            yield from (row for row in whole if isinstance(row, dict))
        case {"history": dict(columns)}:
            yield from _rows_of(columns)
        case dict() if whole and all(_is_points(points) for points in whole.values()):
            for name, points in whole.items():
                pairs = zip(points["steps"], points["values"], strict=False)
                yield from ({"step": step, name: value} for step, value in pairs)
        case dict() if any(isinstance(values, list) for values in whole.values()):
            columns = {name: values for name, values in whole.items() if isinstance(values, list)}
            for i in range(max(len(values) for values in columns.values())):
                yield {name: values[i] for name, values in columns.items() if i < len(values)}
        case dict() if whole:
            yield whole
        case _:
            return


def _is_points(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("steps"), list)
        and isinstance(value.get("values"), list)
    )


def _json_lines(name: str, text: str) -> Table:
    rows: list[Mapping[str, Any]] = []
    bad: list[int] = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            bad.append(number)
    if len(bad) > len(lines) / 2:
        raise InvalidInput(f"{name}:{bad[0]}: not a JSON object; a log has one a line")
    noun = "line is" if len(bad) == 1 else "lines are"
    warnings = [f"{len(bad)} {noun} not JSON (line {bad[0]} first); left out"] if bad else []
    return _of_rows(name, rows, warnings)


def _of_rows(name: str, rows: Sequence[Mapping[str, Any]], warnings: list[str]) -> Table:
    """Rows with nested records flattened: `{"train": {"loss": 1}}` has the column `train/loss`."""
    flat = [dict(_flat(row)) for row in rows if SUMMARY not in row]
    columns = tuple(dict.fromkeys(column for row in flat for column in row))
    return Table(name, columns, tuple(flat), tuple(warnings))


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{_shown(key)}", value


def _shown(name: str) -> str:
    """A column's name without what would steer a terminal."""
    return "".join(character for character in name if character.isprintable()).strip()[:LONGEST_NAME]
