"""Examinations: a trial's probes, as a small study beside the one that the trial belongs to.

A study of its own, because then nothing that its probes do can move the state, the counts, the ranking or the
plan of the study it serves; leases, packs, retries and the reaper know no difference. It has that study's spec
and so its task, seed and objective, shares its budget (`service.budgets`), and is paused, resumed, stopped,
cancelled and deleted with it. `advance` asks `recipe.trial_examination` what it needs next.
"""

from datetime import datetime

from hpsearch.errors import Conflict
from hpsearch.records import StageState, StudyState, Trial, Verdict
from hpsearch.service import budgets
from hpsearch.service.advance import advance, go_on
from hpsearch.store import events, examinations, stages, studies
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow

UNDER_WAY = (StudyState.RUNNING, StudyState.PAUSED, StudyState.STOPPING)
PREFIX = "diagnosis:"  # no study file can name a study so


def name_of(trial: Trial) -> str:
    return f"{PREFIX}{trial.id}"


def begin(tx: Transaction, study: StudyRow, trial: Trial, *, now: datetime) -> None:
    """Open the trial's examination, or open it again where it came to no verdict; nothing where it goes on or
    has one. The caller holds the study's lock. Raises Conflict.
    """
    known = examinations.of_trial(tx, trial.id, lock=True)
    if known is not None and (known.state in UNDER_WAY or verdict_of(tx, known) is not None):
        return
    _check_allowed(tx, study, trial, now=now)
    if known is not None and known.state is StudyState.STOPPED:
        go_on(tx, known, now=now)
        return
    if known is not None:
        studies.delete_study(tx, known.id)
    made = examinations.insert_examination(tx, study, trial.id, name_of(trial), now=now)
    events.add(tx, made, "study_changed", {"state": StudyState.RUNNING, "reason": ""}, now=now)
    advance(tx, made, now=now)


def verdict_of(tx: Transaction, examination: StudyRow) -> Verdict | None:
    """What it has concluded."""
    known = stages.of_study(tx, examination.id)
    judged = bool(known) and known[-1].state is not StageState.RUNNING
    return known[-1].verdict if judged else None


def _check_allowed(tx: Transaction, study: StudyRow, trial: Trial, *, now: datetime) -> None:
    name = study.study.name
    curves_alone = f"judge it by its curves alone: hpsearch diagnose --trial {trial.id} --no-probes"
    if study.study.examines is not None:
        raise Conflict(
            f"trial {trial.id} is a probe of trial {study.study.examines}, and probes are not probed",
            hint=curves_alone,
        )
    if study.state is StudyState.CANCELLED:
        raise Conflict(f"study {name!r} is cancelled: nothing of it is trained any more", hint=curves_alone)
    if study.state is StudyState.PAUSED:
        raise Conflict(
            f"study {name!r} is paused: no probe would be trained",
            hint=f"resume it first: hpsearch study resume {name}",
        )
    why = budgets.spent(tx, study, study.spec, probes=True, now=now)
    if why is not None:
        raise Conflict(f"study {name!r} can't train probes of trial {trial.id}: {why}", hint=curves_alone)
