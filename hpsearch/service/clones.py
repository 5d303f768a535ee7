"""A trial's point trained again on other seeds, to see whether its value was luck: as a small study of its own.

Of its own, because a trial that a user plans inside a study would count on its budget, could stand for a seed that the
recipe keeps fresh for its last step, and would break the order of a plain study's replicates.
"""

from datetime import datetime
from typing import Any

from hpsearch.errors import Conflict
from hpsearch.records import Study, Trial, TrialId
from hpsearch.service import lookup, studies
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.store.engine import Database
from hpsearch.wire import Clone

MAX_SEED = 2**63
NAME_LENGTH = 80  # of the study's name in the clone's, which may have a hundred


def clone(db: Database, trial_id: TrialId, body: Clone, *, now: datetime) -> tuple[Study, bool]:
    """(the study that trains the trial's point again, whether it is new): the same request again is the same study.

    Raises Conflict for a trial that no plain study can repeat, StudyExists where the name belongs to another.
    """
    with db.read() as tx:
        trial = lookup.trial(tx, trial_id)
        study = lookup.study(tx, str(trial.study_id))
    why = why_not(study.study, trial)
    if why is not None:
        raise Conflict(f"trial {trial.number} of {study.study.name!r} can't be cloned: {why}")
    return studies.create(db, parse_spec(_spec(study.spec, study.study.name, trial, body)), now=now)


def why_not(study: Study, trial: Trial) -> str | None:
    """Why a trial can't be cloned, or None."""
    program, budget = trial.program, trial.budget
    if study.examines is not None:
        return "probes of a trial are not cloned"
    if program.kind != "train" or program.subset_batches is not None or program.stop_when_fit:
        return "only what trains on all the data can be repeated"
    if budget is not None and (budget.epochs is None or not budget.epochs.is_integer()):
        return "only whole epochs can be repeated"
    return None


def _spec(spec: StudySpec, name: str, trial: Trial, body: Clone) -> dict[str, Any]:
    """A grid of one point with everything else as the trial had it: its overrides and its budget stand under `fixed`."""
    values = {**trial.params, **trial.program.overrides}
    fixed = {**spec.fixed, **trial.program.overrides}
    if trial.budget is not None and trial.budget.epochs is not None:
        fixed["epochs"] = int(trial.budget.epochs)
    return {
        **spec.model_dump(mode="json", exclude={"recipe", "budget", "grid"}),
        "name": body.name or f"{name[:NAME_LENGTH]}-trial-{trial.number}",
        "description": f"trial {trial.number} of {name} again, on other seeds",
        "method": "grid",
        "space": {axis: [values[axis]] for axis in trial.params},
        "fixed": {key: value for key, value in fixed.items() if key not in trial.params},
        "replicates": body.replicates,
        "seed": (spec.seed + 1) % MAX_SEED,
    }
