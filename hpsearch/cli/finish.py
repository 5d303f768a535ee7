"""The end of a run: the report is written, the answer printed, a failed gate told with its remedy."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from hpsearch.cli import show
from hpsearch.errors import GateFailed, HpsearchError
from hpsearch.home import Home
from hpsearch.records import Best, Stage, StageKind, StageState, Study, StudyState
from hpsearch.study_report import CURVES, report, to_markdown
from hpsearch.study_report.words import error_text

if TYPE_CHECKING:
    from hpsearch.client import StudyHandle

BEST = 10
TIES = 5  # shown; the document and `study best` hold all
TRIALS, POINTS = 1_000, 200  # what a report is made of; it says what it leaves out


def tell(handle: "StudyHandle", study: Study, home: Home, *, json: bool) -> None:
    """Write the report, print the result. Raises GateFailed or HpsearchError where the study has no answer."""
    stages = handle.stages()
    best = handle.best(BEST)
    path = home.reports / f"{study.name}.html"
    write_report(handle, study, stages, best, path)
    if json:
        show.document(
            {
                "study": study,
                "stages": [card(stage) for stage in stages],
                "best": best[0] if best else None,
                "trials": sum(study.trial_counts.values()),
                "report": str(path),
            }
        )
    else:
        answer(study, best)
        show.output().print(Text(f"report: {path}"), soft_wrap=True)
    raise_unless_completed(study, stages, answered=bool(best))


def card(stage: Stage) -> dict[str, Any]:
    """A stage as `hpsearch diagnose` answers: the verdict's code beside its evidence, not around it."""
    judged = {} if stage.verdict is None else stage.verdict.model_dump(mode="python")
    code = judged.pop("code", None)
    told = {"verdict": code, "text": "", "evidence": (), "remedy": None, **judged}
    return {"kind": stage.kind, "round": stage.round, "state": stage.state, "trials": stage.trials, **told}


def write_report(
    handle: "StudyHandle", study: Study, stages: list[Stage], best: list[Best], path: Path
) -> None:
    """The study's report at `path`, whole or not at all: Markdown where it ends in .md, else HTML."""
    trials = [trial.record for trial in itertools.islice(handle.trials(), TRIALS)]
    diagnoses = handle.diagnoses()
    if path.suffix == ".md":
        text = to_markdown(study, stages, trials, best, diagnoses)
    else:
        curves = {metric: handle.curves(metric, points=POINTS, top=TRIALS) for metric in CURVES}
        text = report(study, stages, trials, curves, best, diagnoses)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise HpsearchError(f"can't write the report {path}: {error.strerror}") from None


def answer(study: Study, best: list[Best]) -> None:
    """The winner: value with its uncertainty, params, test metrics and what ties with it."""
    console = show.output()
    if not best:
        console.print(Text(f"{study.name}: no trial has a value"))
        return
    winner = best[0]
    error = error_text(winner.standard_error)
    seeds = f" ({winner.replicates} seeds)" if winner.replicates > 1 else ""
    head = f"{study.objective_metric} {show.number(winner.value)}{error}{seeds}"
    console.print(Text.assemble((f"best of {study.name}: ", "bold"), (head, "bold green")), soft_wrap=True)
    for name, value in winner.params.items():
        console.print(Text(f"  {name}  {show.params_text({name: value}).partition('=')[2]}"))
    for name, value in winner.metrics.items():
        if name.startswith("test_"):
            console.print(Text(f"  {name}  {show.number(value)}", style="dim"))
    # A recipe's winner is judged on fresh seeds, its ties on those of the search: not one list of numbers.
    where = "in the search" if winner.replicates > 1 else "within its noise"
    for tie in winner.ties[:TIES]:
        text = f"  {where}: trial {tie.trial_id}, {show.number(tie.value)}, {show.params_text(tie.params)}"
        console.print(Text(text, style="dim"), soft_wrap=True)
    if len(winner.ties) > TIES:
        rest = len(winner.ties) - TIES
        console.print(
            Text(f"  and {rest} more that can't be told apart (`hpsearch study best`)", style="dim")
        )


def raise_unless_completed(study: Study, stages: list[Stage], *, answered: bool) -> None:
    """Raises GateFailed with the verdict and its remedy, or HpsearchError with the reason."""
    if study.state is StudyState.COMPLETED:
        return
    if study.state is StudyState.STOPPED:
        show.note(f"{study.name} was stopped: {study.reason or 'by a user'}")
        if not answered:
            raise HpsearchError(f"{study.name} was stopped before it had an answer: {study.reason}")
        return
    if study.state is StudyState.CANCELLED:
        raise HpsearchError(
            f"{study.name} was cancelled",
            hint="run it under another --name, or delete it with `hpsearch study delete`",
        )
    failed = next((stage for stage in reversed(stages) if stage.state is StageState.FAILED), None)
    if failed is None or failed.verdict is None:
        reason = study.reason or "no reason was given"
        raise HpsearchError(
            f"{study.name} failed: {reason}", hint=f"try again with `hpsearch study retry {study.name}`"
        )
    # The file's digest is part of the study: a mended task is another study.
    own = study.spec["task"]["kind"] == "file"
    retry = (
        "mend the cause, then run it again with --replace"
        if own
        else f"mend the cause, then `hpsearch study retry {study.name}` and run it again"
    )
    hint = failed.verdict.remedy.text if failed.verdict.remedy is not None else retry
    if failed.kind is StageKind.SEARCH:  # no gate: the trials themselves could not be trained
        raise HpsearchError(f"{study.name}: {failed.verdict.text}", hint=hint)
    raise GateFailed(f"{show.title(failed).strip()}: {failed.verdict.text}", hint=hint)
