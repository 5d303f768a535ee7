"""A stored trial judged by its curves, its study's check and its params; nothing is trained."""

import math

from hpsearch import passive
from hpsearch.curves import Curve
from hpsearch.diagnosis import Diagnosis
from hpsearch.recipe.history import Facts
from hpsearch.recipe.trial_examination import with_values
from hpsearch.records import Series, Trial, TrialState, Verdict
from hpsearch.service import series
from hpsearch.spec import StudySpec
from hpsearch.store.engine import Transaction
from hpsearch.vocabulary import VerdictCode


def of_trial(tx: Transaction, spec: StudySpec, trial: Trial, *, check: Trial | None) -> Diagnosis:
    """`check`: step 1's measurements; None in a study that has no step 1."""
    verdict = _verdict(spec, trial, check, _curve(series.of_trials(tx, [trial.id])[trial.id]))
    return Diagnosis.passively(verdict, passive.note_on(verdict.code))


def _verdict(spec: StudySpec, trial: Trial, check: Trial | None, curve: Curve) -> Verdict:
    if trial.state in (TrialState.FAILED, TrialState.CANCELLED):
        said = trial.message.splitlines()[0] if trial.message else str(trial.reason or "no reason was given")
        text = f"the trial {trial.state} before its end: {said}"
        return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0)
    diverged = trial.measurement("diverged_at", 0.0) if trial.state is TrialState.DIVERGED else None
    run = passive.Observed(
        curve=curve,
        objective=spec.objective.metric,
        direction=spec.objective.direction,
        values=spec.hyperparameters(trial.params, trial.program.overrides),
        facts=_facts(trial, check, curve),
        val_size=trial.measurement("val_size"),
        diverged_at=None if diverged is None else int(diverged),
    )
    return with_values(spec, trial, passive.judged(run))


def _facts(trial: Trial, check: Trial | None, curve: Curve) -> Facts:
    """What step 1 measured; a study without a check knows the number of classes at most."""
    if check is not None:
        return Facts.of(check)
    classes = trial.measurement("classes")
    known = None if math.isnan(classes) else int(classes)
    return passive.facts_from(curve, known, learned=passive.has_learned(curve))


def _curve(whole: Series) -> Curve:
    return {name: (list(points.steps), list(points.values)) for name, points in whole.items()}
