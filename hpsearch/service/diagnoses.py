"""A stored trial judged by its curves, its study's check and its params."""

import math

from hpsearch import passive
from hpsearch.command import CommandTask
from hpsearch.curves import Curve
from hpsearch.diagnosis import Diagnosis
from hpsearch.errors import Conflict
from hpsearch.recipe.carry import Carry
from hpsearch.recipe.history import Facts, History
from hpsearch.recipe.remedies import remedy_for
from hpsearch.records import Remedy, Series, StageKind, StudyId, Trial, TrialId, TrialState, Verdict
from hpsearch.service import lookup, series
from hpsearch.spec import StudySpec
from hpsearch.store import listing
from hpsearch.store.engine import Database, Transaction
from hpsearch.vocabulary import VerdictCode


def diagnose(db: Database, trial_id: TrialId) -> Diagnosis:
    """Passive: nothing is trained. Raises NotFound, and Conflict for a trial that is open or a check."""
    with db.read() as tx:
        trial = lookup.trial(tx, trial_id)
        _refuse(trial)
        spec = lookup.study(tx, str(trial.study_id)).spec
        check = _newest_check(tx, trial.study_id)
        curve = _curve(series.of_trials(tx, [trial_id])[trial_id])
    verdict = _verdict(spec, trial, check, curve)
    return Diagnosis.passively(verdict, passive.note_on(verdict.code))


def _newest_check(tx: Transaction, study_id: StudyId) -> Trial | None:
    """Step 1's measurements; None in a study that has no step 1."""
    found = listing.page(
        tx,
        study_id,
        state=TrialState.COMPLETED,
        stage=StageKind.INITIAL_LOSS,
        order="number",
        descending=True,
        offset=0,
        limit=1,
    )
    return found[0] if found else None


def _refuse(trial: Trial) -> None:
    if not trial.finished:
        raise Conflict(
            f"trial {trial.id} is {trial.state}; it can be judged once it has ended",
            hint=f"look at its curves meanwhile: hpsearch trial curves {trial.id}",
        )
    if trial.program.kind == "check":
        raise Conflict(
            f"trial {trial.id} is a check: it measures and trains nothing, so it has no curve to judge",
            hint="its verdict is its stage's: hpsearch study show STUDY",
        )


def _verdict(spec: StudySpec, trial: Trial, check: Trial | None, curve: Curve) -> Verdict:
    if trial.state in (TrialState.FAILED, TrialState.CANCELLED):
        said = trial.message.splitlines()[0] if trial.message else str(trial.reason or "no reason was given")
        text = f"the trial {trial.state} before its end: {said}"
        return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0)
    values = spec.hyperparameters(trial.params, trial.program.overrides)
    diverged = trial.measurement("diverged_at", 0.0) if trial.state is TrialState.DIVERGED else None
    run = passive.Observed(
        curve=curve,
        objective=spec.objective.metric,
        direction=spec.objective.direction,
        values=values,
        facts=_facts(trial, check, curve),
        val_size=trial.measurement("val_size"),
        diverged_at=None if diverged is None else int(diverged),
    )
    verdict = passive.judged(run)
    return verdict.model_copy(update={"remedy": _remedy(spec, trial, verdict)})


def _facts(trial: Trial, check: Trial | None, curve: Curve) -> Facts:
    """What step 1 measured; a study without a check knows the number of classes at most."""
    if check is not None:
        return Facts.of(check)
    classes = trial.measurement("classes")
    known = None if math.isnan(classes) else int(classes)
    return passive.facts_from(curve, known, learned=passive.has_learned(curve))


def _remedy(spec: StudySpec, trial: Trial, verdict: Verdict) -> Remedy | None:
    """The verdict's remedy with the values that this study allows, as if the trial were its winner."""
    if isinstance(spec.task, CommandTask):  # what its parameters do is its own business
        return verdict.remedy
    epochs = None if trial.budget is None else trial.budget.epochs
    carry = Carry(winner=trial.params, winner_epochs=epochs)
    return remedy_for(verdict.code, History(spec, (), ()).proposing(carry)) or verdict.remedy


def _curve(whole: Series) -> Curve:
    return {name: (list(points.steps), list(points.values)) for name, points in whole.items()}
