"""A diagnosis as a person reads it: verdict, picture, evidence, proof, remedy."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpsearch.cli.judged import Judged
from hpsearch.cli.show import note, number, output, table
from hpsearch.cli.show import spark as blocks
from hpsearch.records import Points, Series

WIDTH = 60  # characters of a curve
SHOWN = ("loss", "train_loss", "val_loss")
STYLES = {"ok": "bold green", "not_enough_evidence": "bold yellow"}


def _how(found: Mapping[str, Any]) -> str:
    if found.get("passive"):
        return "passive, without a probe"
    return "with probes" if (found.get("cost") or {}).get("probe_steps") else "no probe was needed"


def show(judged: Judged) -> None:
    """The whole card on standard output; warnings about the input on standard error."""
    found, console = judged.document, output()
    for warning in found.get("warnings", ()):
        note(f"warning: {warning}")
    verdict = str(found["verdict"])
    head = Text.assemble((verdict, STYLES.get(verdict, "bold red")), f"  {_line(found['text'])}")
    console.print(head, soft_wrap=True)
    console.print(
        Text(f"{judged.subject}: confidence {found['confidence']:.2f}, {_how(found)}", style="dim"),
        soft_wrap=True,
    )
    _read_as(console, found.get("columns") or {})
    _picture(console, judged.curves, found.get("segment"))
    _evidence(console, found.get("evidence") or ())
    _proof(console, found.get("probe"))
    _remedy(console, found.get("remedy"))
    _rest(console, found)


def evidence(items: Sequence[Mapping[str, Any]]) -> Table:
    """Each number beside the threshold it was held against, those that fail it first."""
    rows = table("", "evidence", "value", "threshold", "", right=("value",))
    marks = {True: Text("✓", style="green"), False: Text("✗", style="red"), None: Text(" ")}
    for item in sorted(items, key=lambda item: item.get("ok") is not False):
        rows.add_row(
            marks[item.get("ok")], Text(str(item["name"])), number(_plain(item["value"])),
            Text(str(item.get("threshold") or "")), Text(_line(item.get("text") or "")),
        )  # fmt: skip
    return rows


def _evidence(console: Console, items: Sequence[Mapping[str, Any]]) -> None:
    """What speaks in the table; what is as it should be in one line, its numbers are in the document."""
    told = [item for item in items if item.get("ok") is not True]
    fine = [str(item["name"]) for item in items if item.get("ok") is True]
    if told:
        console.print()
        console.print(evidence(told))
    if fine:
        console.print()
        console.print(
            Text.assemble(("✓ ", "green"), (f"within their thresholds: {', '.join(fine)}", "dim")),
            soft_wrap=True,
        )


def _read_as(console: Console, columns: Mapping[str, str]) -> None:
    read = [name if name == column else f"{column} as {name}" for name, column in columns.items()]
    if read:
        console.print(Text(f"columns read: {', '.join(read)}", style="dim"), soft_wrap=True)


def _picture(console: Console, curves: Series, segment: Sequence[int] | None) -> None:
    """The losses over one axis of steps, and under them the stretch that the verdict speaks of."""
    shown = {name: curves[name] for name in SHOWN if name in curves and len(curves[name].steps) > 1}
    if not shown:
        return
    first = min(points.steps[0] for points in shown.values())
    last = max(points.steps[-1] for points in shown.values())
    if last == first:
        return
    console.print()
    for name, points in shown.items():
        ends = f"  {number(points.values[0])} → {number(points.values[-1])}"
        console.print(Text(f"{name:<10} {blocks(on_axis(points, first, last), WIDTH)}{ends}"))
    if segment is not None:
        begin, end = (round((WIDTH - 1) * (step - first) / (last - first)) for step in segment)
        bar = "└" + "─" * max(end - begin - 1, 0) + "┘" if end > begin else "^"
        console.print(
            Text(f"{'':<10} {' ' * begin}{bar}  steps {segment[0]} to {segment[1]}", style="yellow")
        )


def on_axis(points: Points, first: int, last: int) -> list[float]:
    """`WIDTH` means of the values along the axis; a stretch without a value repeats the one before it."""
    cells: list[list[float]] = [[] for _ in range(WIDTH)]
    for step, value in zip(points.steps, points.values, strict=True):
        cells[min(int(WIDTH * (step - first) / (last - first)), WIDTH - 1)].append(value)
    drawn: list[float] = []
    for cell in cells:
        if cell:
            drawn.append(sum(cell) / len(cell))
        else:
            drawn.append(drawn[-1] if drawn else points.values[0])
    return drawn


def _proof(console: Console, probe: Mapping[str, Any] | None) -> None:
    """The pair that proves the verdict: the run, and the same run with one thing changed."""
    if not probe:
        return
    changes = probe.get("changes") or {probe.get("knob"): "changed"}
    changed = ", ".join(f"{name} {_value(value)}" for name, value in changes.items())
    pair = f"{probe.get('metric', '')} {_value(probe.get('before'))} → {_value(probe.get('after'))}".strip()
    epochs = probe.get("epochs")
    unit = "epoch" if epochs == 1 else "epochs"
    length = f" after {_value(epochs)} {unit}" if epochs is not None else ""
    console.print()
    console.print(Text(f"probe, the same run with {changed}: {pair}{length}", style="bold"), soft_wrap=True)


def _remedy(console: Console, remedy: Mapping[str, Any] | None) -> None:
    if not remedy:
        return
    console.print()
    console.print(Text(f"→ {_line(remedy['text'])}", style="yellow"), soft_wrap=True)
    for name, value in (remedy.get("changes") or {}).items():
        others = [v for v in (remedy.get("grid") or {}).get(name, ()) if v != value]
        also = f", then {', '.join(_value(v) for v in others)}" if others else ""
        console.print(Text(f"  try {name}: {_value(value)}{also}"), soft_wrap=True)


def _rest(console: Console, found: Mapping[str, Any]) -> None:
    if found.get("alternatives"):
        console.print(Text(f"could also be: {', '.join(map(str, found['alternatives']))}"), soft_wrap=True)
    cost = {name: value for name, value in (found.get("cost") or {}).items() if value}
    if cost and not found.get("passive"):
        listed = ", ".join(f"{name} {_value(value)}" for name, value in cost.items())
        console.print(Text(f"cost: {listed}", style="dim"), soft_wrap=True)
    if found.get("note"):
        console.print(Text(str(found["note"]), style="dim"), soft_wrap=True)


def _value(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{k} {_value(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return ", ".join(_value(item) for item in value)
        case bool() | int() | str() | None:
            return str(value)
        case _:
            return number(float(value))


def _plain(value: Any) -> float | str | None:
    """A number that travelled as a string is one again."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, bool | int):
        return float(value)
    return value if isinstance(value, float | str) or value is None else str(value)


def _line(text: str) -> str:
    return " ".join(str(text).split())
