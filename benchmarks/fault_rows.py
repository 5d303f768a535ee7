"""What a fault test has shown: one row of `benchmarks/faults.md`, kept as a line of JSON."""

import datetime
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


@dataclass(frozen=True)
class FaultRow:
    """`wrong`: promises broken otherwise than by losing or repeating. `tally` is added up over rows of the same
    `test` and `done`, which are one row of the table. `part`: which of them, where a test may be run in several goes.
    """

    test: str
    done: str
    part: str = ""
    lost: int = 0
    repeated: int = 0
    wrong: int = 0
    tally: dict[str, float] = field(default_factory=dict)
    notes: str = ""
    seconds: float = 0.0
    date: str = field(default_factory=_today)

    def append_to(self, path: Path) -> None:
        with path.open("a") as file:
            file.write(json.dumps(asdict(self)) + "\n")


def read(path: Path) -> list[FaultRow]:
    """Empty where there is no such file."""
    return [FaultRow(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def merged(old: Iterable[FaultRow], new: Iterable[FaultRow]) -> list[FaultRow]:
    """`new`, and what it does not speak of: other tests, and other parts of the same."""
    fresh = list(new)
    spoken_of = {(row.test, row.part) for row in fresh}
    return sorted([*(row for row in old if (row.test, row.part) not in spoken_of), *fresh], key=_order)


def table(rows: Iterable[FaultRow]) -> list[str]:
    """Lines of Markdown."""
    groups: dict[tuple[str, str], list[FaultRow]] = defaultdict(list)
    for row in rows:
        groups[row.test, row.done].append(row)
    return [
        "| test | what was done | lost | repeated | seconds | notes | on |",
        "|---|---|---|---|---|---|---|",
        *(_line(group) for group in groups.values()),
    ]


def _line(group: list[FaultRow]) -> str:
    first = group[0]
    tally: dict[str, float] = defaultdict(float)
    for row in group:
        for name, value in row.tally.items():
            tally[name] += value
    wrong = sum(row.wrong for row in group)
    notes = [
        *(f"{value:,.0f} {name}" for name, value in tally.items()),
        *dict.fromkeys(row.notes for row in group if row.notes),
        *([f"**{wrong} promises broken otherwise**"] if wrong else []),
    ]
    lost, repeated = sum(row.lost for row in group), sum(row.repeated for row in group)
    seconds = sum(row.seconds for row in group)
    dates = sorted({row.date for row in group})
    return (
        f"| {first.test} | {first.done} | {lost} | {repeated} | {seconds:,.0f} | {'; '.join(notes)} "
        f"| {' to '.join(dict.fromkeys([dates[0], dates[-1]]))} |"
    )


def _order(row: FaultRow) -> tuple[int, int, str]:
    """T1 to T16, then the others; the parts of a test in order."""
    number = row.test.partition(" ")[0].removeprefix("T")
    return (0, int(number), row.part) if number.isdigit() else (1, 0, row.part)
