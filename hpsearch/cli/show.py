"""What people see: data on standard output, notes on standard error, colour only on a terminal."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpsearch.eta import Eta, words
from hpsearch.records import (
    Best,
    Run,
    Series,
    Stage,
    StageKind,
    StageState,
    Study,
    Token,
    Trial,
    TrialState,
    Worker,
)
from hpsearch.space import Params
from hpsearch.wire import Preview

STEPS = {
    StageKind.INITIAL_LOSS: "1 initial loss",
    StageKind.OVERFIT: "2 overfit a small sample",
    StageKind.FIND_LR: "3 find the learning rate",
    StageKind.COARSE: "4 coarse grid",
    StageKind.REFINE: "5 refine",
    StageKind.CURVES: "6 look at the curves",
    StageKind.FINAL: "  final, on fresh seeds",
    StageKind.SEARCH: "  search",
}
MARKS = {
    StageState.PASSED: ("✓", "green"),
    StageState.WARNED: ("!", "yellow"),
    StageState.FAILED: ("✗", "red"),
    StageState.SKIPPED: ("-", "dim"),
    StageState.RUNNING: ("…", "cyan"),
}
STATE_STYLES = {"completed": "green", "running": "cyan", "failed": "red", "diverged": "magenta"}


def output() -> Console:
    """Standard output, for data; wide enough not to fold a table that is piped."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=200, highlight=False)


def errors() -> Console:
    """Standard error, for progress and notes."""
    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    errors().print(Text(text), soft_wrap=True)


def document(value: Any) -> None:
    """One JSON document on standard output; non-finite numbers as strings, as the API writes them."""
    print(json.dumps(plain(value), indent=2))  # noqa: T201


def line(value: Any) -> None:
    """One JSON document on one line, at once."""
    print(json.dumps(plain(value)), flush=True)  # noqa: T201


def plain(value: Any) -> Any:
    """Records, and lists and mappings of them, as JSON's own types."""
    if isinstance(value, BaseModel):
        return json.loads(value.model_dump_json())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def number(value: float | str | None) -> str:
    """Four significant digits; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def params_text(params: Params) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in params.items())


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if value is None else str(value)


def title(stage: Stage) -> str:
    """`5 refine`, from the second round on `5 refine, round 2`."""
    return STEPS[stage.kind] + (f", round {stage.round}" if stage.round > 1 else "")


def card(stage: Stage) -> Text:
    """One line about a stage: mark, step and verdict."""
    mark, style = MARKS[stage.state]
    text = Text.assemble((mark, style), " ", (title(stage), "bold"))
    said = stage.verdict.text if stage.verdict is not None else f"{stage.trials} trials"
    # The title has just said it: `1 initial loss  2.61, expected ln 10 = 2.303`.
    one_line = " ".join(said.split())
    text.append(f"  {one_line.removeprefix(title(stage)[2:] + ' ')}")
    return text


def remedy(stage: Stage) -> Text | None:
    """What to do about a stage that did not pass, or None."""
    if stage.verdict is None or stage.verdict.remedy is None or stage.state is StageState.PASSED:
        return None
    return Text(f"    → {stage.verdict.remedy.text}", style="yellow")


def cards(stages: Iterable[Stage]) -> None:
    console = output()
    for stage in stages:
        console.print(card(stage), soft_wrap=True)
        said = remedy(stage)
        if said is not None:
            console.print(said, soft_wrap=True)


def state(value: str) -> Text:
    return Text(str(value), style=STATE_STYLES.get(str(value), ""))


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    built = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        built.add_column(column, justify="right" if column in right else "left", no_wrap=column != "params")
    return built


def studies(records: Sequence[Study]) -> None:
    rows = table("id", "name", "state", "method", "trials", "best", "created", right=("id", "trials", "best"))
    for study in records:
        rows.add_row(
            str(study.id), Text(study.name), state(study.state), study.method, counts(study),
            number(study.best_value), when(study.created_at),
        )  # fmt: skip
    output().print(rows)


def counts(study: Study) -> str:
    """`34/36`: ended and all trials."""
    total = sum(study.trial_counts.values())
    waiting = sum(study.trial_counts.get(s, 0) for s in (TrialState.WAITING, TrialState.RUNNING))
    return f"{total - waiting}/{total}"


def study_head(study: Study, eta: Eta) -> None:
    console = output()
    console.print(Text.assemble((study.name, "bold"), f"  {study.method}, ", state(study.state)))
    if study.reason:
        console.print(Text(study.reason), soft_wrap=True)
    listed = ", ".join(f"{n} {name}" for name, n in study.trial_counts.items() if n)
    told = words(eta)
    console.print(Text(f"trials: {listed or 'none'}{f'; {told}' if told else ''}"))


def trials(records: Sequence[Trial], total: int | None = None) -> None:
    rows = table("id", "#", "state", "role", "value", "steps", "params", right=("id", "#", "value", "steps"))
    for trial in records:
        rows.add_row(
            str(trial.id), str(trial.number), state(trial.state), trial.role or trial.program.kind,
            number(trial.value), str(trial.steps), Text(params_text(trial.params)),
        )  # fmt: skip
    output().print(rows)
    if total is not None and total > len(records):
        note(f"showing {len(records)} of {total}")


def trial(record: Trial, runs: Sequence[Run]) -> None:
    console = output()
    head = Text.assemble((f"trial {record.id}", "bold"), f" (number {record.number})  ", state(record.state))
    console.print(head)
    if record.message:
        console.print(Text(record.message), soft_wrap=True)
    facts = table("", "")
    facts.show_header = False
    for name, value in {**record.params, **record.metrics}.items():
        facts.add_row(Text(name), number(value) if isinstance(value, float) else Text(str(value)))
    console.print(facts)
    for run in runs:
        console.print(
            Text(f"run {run.id}: {run.state} on worker {run.worker or run.worker_id} {run.message}".rstrip())
        )


def best(records: Sequence[Best], metric: str) -> None:
    rows = table(
        "#", "trial", metric, "± SE", "seeds", "params", right=("#", "trial", metric, "± SE", "seeds")
    )
    for place, entry in enumerate(records, start=1):
        rows.add_row(
            str(place), str(entry.trial_id), number(entry.value), "–" if entry.standard_error is None else f"{entry.standard_error:.2g}",
            str(entry.replicates), Text(params_text(entry.params)),
        )  # fmt: skip
    output().print(rows)
    if records and records[0].ties:
        listed = ", ".join(f"trial {tie.trial_id} ({number(tie.value)})" for tie in records[0].ties)
        note(f"can't be told apart from the first at this noise: {listed}")


def workers(records: Sequence[Worker], now: datetime) -> None:
    rows = table("id", "name", "state", "host", "slots", "running", "last seen", right=("id", "running"))
    for worker in records:
        age = max((now - worker.last_seen_at).total_seconds(), 0)
        devices = ", ".join(sorted({slot.name for slot in worker.slots}))
        rows.add_row(
            str(worker.id), Text(worker.name), state(worker.state), Text(worker.host),
            Text(f"{len(worker.slots)} × {devices}"), str(worker.running), f"{age:.0f} s ago",
        )  # fmt: skip
    output().print(rows)


def tokens(records: Sequence[Token]) -> None:
    rows = table("id", "name", "scope", "begins with", "created", "expires", "revoked", right=("id",))
    for token in records:
        rows.add_row(
            str(token.id), Text(token.name), token.scope, Text(token.prefix), when(token.created_at),
            when(token.expires_at), when(token.revoked_at),
        )  # fmt: skip
    output().print(rows)


def preview(plan: Preview, *, json: bool) -> None:
    """The points a study would train, and what the whole costs."""
    if json:
        document(plan)
        return
    console = output()
    for point in plan.points:
        console.print(Text(params_text(point)), soft_wrap=True)
    if plan.shown < plan.trials and plan.method != "recipe":
        note(f"showing {plan.shown} of {plan.trials} points")
    console.print(Text(plan.text), soft_wrap=True)


def curves(series: Series) -> None:
    """A spark line for each metric: steps, first, lowest, highest and last value."""
    rows = table("metric", "curve", "steps", "first", "min", "max", "last")
    for name, points in sorted(series.items()):
        finite = [value for value in points.values if math.isfinite(value)]
        if not points.values:
            continue
        low, high = (min(finite), max(finite)) if finite else (None, None)
        rows.add_row(
            Text(name), spark(points.values), str(points.steps[-1]), number(points.values[0]),
            number(low), number(high), number(points.values[-1]),
        )  # fmt: skip
    output().print(rows)


def spark(values: Sequence[float], width: int = 48) -> str:
    """At most `width` blocks, each the mean of its stretch; `×` where a value is not finite."""
    size = max(math.ceil(len(values) / width), 1)
    stretches = [values[i : i + size] for i in range(0, len(values), size)]
    means = [sum(stretch) / len(stretch) for stretch in stretches]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, span = (min(finite), (max(finite) - min(finite)) or 1.0) if finite else (0.0, 1.0)
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(
        blocks[min(int((mean - low) / span * len(blocks)), len(blocks) - 1)] if math.isfinite(mean) else "×"
        for mean in means
    )


def when(moment: datetime | None) -> str:
    return "–" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
