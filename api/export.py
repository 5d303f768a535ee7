"""Trials as rows of a file."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
COLUMNS = (
    "number", "stage", "round", "state", "program", "params", "replicate", "seed", "budget", "value",
    "metrics", "runs", "started_at", "finished_at", "reason",
)  # fmt: skip


def lines_of(rows: Iterable[dict[str, Any]], format: Literal["csv", "jsonl"]) -> Iterator[str]:  # noqa: A002
    """The file's lines, one row each; CSV starts with the names of its columns."""
    return _csv(rows) if format == "csv" else (_json(row) + "\n" for row in rows)


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for row in rows:
        yield _csv_line(_cell(row.get(name)) for name in COLUMNS)


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> Any:
    plain = tagged(value)
    return json.dumps(plain) if isinstance(plain, dict | list) else plain


def _json(row: dict[str, Any]) -> str:
    return json.dumps(tagged(row), allow_nan=False)


def tagged(value: Any) -> Any:
    """JSON data whose non-finite numbers are the strings "NaN", "Infinity", "-Infinity", as in all answers."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): tagged(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [tagged(child) for child in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
