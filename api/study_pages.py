"""What the pages of studies and trials show."""

from datetime import datetime
from typing import Any

from markupsafe import Markup

from api.resources import Resources
from hpsearch.eta import Eta
from hpsearch.records import FINISHED_STUDY_STATES, Stage, Study, StudyState, Trial, TrialId, TrialState
from hpsearch.service import clones, diagnoses, etas, selections, studies, trials
from hpsearch.study_report import CURVES, words
from hpsearch.study_report.diagnosis import diagnosis_card
from hpsearch.study_report.page import answer, card, rail
from hpsearch.study_report.pictures import Album
from hpsearch.wire import CurveList

STUDIES = 200
ROWS = 500  # of the trial table; the page says how many there are
CURVES_DRAWN, POINTS = 120, 160  # of the stages' pictures
COMPARED_WITH = 1
# Which buttons make sense in which state.
MOVES: dict[StudyState, tuple[str, ...]] = {
    StudyState.RUNNING: ("pause", "stop", "cancel"),
    StudyState.PAUSED: ("resume", "stop", "cancel"),
    StudyState.STOPPING: ("resume", "cancel"),
    StudyState.STOPPED: ("resume", "cancel"),
    StudyState.FAILED: ("retry",),
    StudyState.COMPLETED: ("retry",),
    StudyState.CANCELLED: (),
}
BAR = ("completed", "running", "waiting", "diverged", "pruned", "failed", "cancelled")


def listed(held: Resources) -> dict[str, Any]:
    """The newest studies, each with its bar of counts and the time left."""
    found = studies.page(held.db, page_size=STUDIES)
    known = etas.of_studies(held.db, found.studies, now=held.clock())
    rows = [
        {"study": study, "bar": bar(study), "task": words.task_text(study), "eta": known.get(study.id, Eta())}
        for study in found.studies
    ]
    return {"rows": rows, "total": found.total}


def bar(study: Study) -> list[tuple[str, int, float]]:
    """(state, trials, share of the bar's 100) of each state that some trial is in."""
    total = sum(study.trial_counts.values())
    counts = [(state, study.trial_counts.get(TrialState(state), 0)) for state in BAR]
    return [(state, count, 100 * count / total) for state, count in counts if count]


def study_view(held: Resources, key: str) -> dict[str, Any]:
    """The command center of one study. Raises NotFound."""
    study = studies.get(held.db, key)
    last_event = studies.last_event(held.db, key)
    stages = sorted(studies.stages(held.db, key).stages, key=lambda stage: stage.position)
    best = studies.best(held.db, key, 1).best
    shown = trials.page(held.db, key, page_size=1_000)
    drawn = trials.curves(held.db, key, metric=",".join(CURVES), points=POINTS, top=CURVES_DRAWN)
    album = _album(stages, shown.trials, drawn)
    names = sorted({name for trial in shown.trials for name in trial.params})
    return {
        "study": study,
        "task": words.task_text(study),
        "bar": bar(study),
        "eta": etas.of_study(held.db, key, now=held.clock()),
        "moves": MOVES[study.state],
        "live": study.state not in FINISHED_STUDY_STATES,
        "last_event": last_event,
        "answer": _drawn(answer(study, best)),
        "rail": _drawn(rail(stages)),
        "cards": [_drawn(card(stage, album)) for stage in stages],
        "trials": shown.trials[:ROWS],
        "total": shown.total,
        "stages": {stage.id: " ".join(words.title(stage)) for stage in stages},
        "names": names,
        "metrics": _metrics(drawn),
        "description": study.spec.get("description") or "",
    }


def _drawn(html: str) -> Markup:
    """HTML of `study_report`, which escapes every word that came from a user (a browser's test holds it to it)."""
    return Markup(html)  # noqa: S704  # nosec B704


def _album(stages: list[Stage], shown: tuple[Trial, ...], drawn: CurveList) -> Album:
    curves = {
        metric: {c.trial_id: c.series[metric] for c in drawn.curves if metric in c.series}
        for metric in CURVES
    }
    return Album(stages=stages, trials={trial.id: trial for trial in shown}, curves=curves)


def _metrics(drawn: CurveList) -> list[str]:
    """What curves there are, the validation loss first."""
    found = {name for curve in drawn.curves for name in curve.series}
    return sorted(found, key=lambda name: (name != "val_loss", name != "val_accuracy", name))


def trial_view(held: Resources, trial_id: TrialId) -> dict[str, Any]:
    """One trial beside the best one of its study. Raises NotFound."""
    trial = trials.get(held.db, trial_id)
    study = studies.get(held.db, str(trial.study_id))
    best = next(iter(studies.best(held.db, str(study.id), 1).best), None)
    names = sorted({*trial.params, *(best.params if best else {})})
    judged = diagnoses.look(held.db, trial_id) if _has_curve(trial) else None
    followed = judged.examination or study.name if judged is not None and judged.state == "running" else None
    rows = [(name, trial.params.get(name), best.params.get(name) if best else None) for name in names]
    return {
        "trial": trial,
        "study": study,
        "best": best,
        "judged": judged,
        "diagnosis": None if judged is None else _drawn(diagnosis_card(judged, "Diagnosis")),
        "followed": followed,
        "last_event": 0 if followed is None else studies.last_event(held.db, followed),
        "moves": (
            *selections.MOVES.get(trial.state, ()),
            *(("clone",) if clones.why_not(study, trial) is None else ()),
        ),
        "params": rows,
        "runs": trials.runs(held.db, trial_id),
        "logs": [log for log in trials.log(held.db, trial_id) if log.text],
        "checkpoints": trials.checkpoint_list(held.db, trial_id),
    }


def _has_curve(trial: Trial) -> bool:
    ended = (TrialState.COMPLETED, TrialState.DIVERGED, TrialState.PRUNED)
    return trial.state in ended and trial.program.kind == "train"


def compared(held: Resources, keys: list[str]) -> list[dict[str, Any]]:
    """A column a study, in the order asked for. Raises NotFound."""
    columns = []
    for key in dict.fromkeys(keys):
        study = studies.get(held.db, key)
        best = next(iter(studies.best(held.db, key, COMPARED_WITH).best), None)
        columns.append(
            {
                "study": study,
                "task": words.task_text(study),
                "best": best,
                "trials": sum(study.trial_counts.values()),
                "seconds": _seconds(study.created_at, study.finished_at),
            }
        )
    return columns


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - start).total_seconds()
