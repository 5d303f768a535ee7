"""Which of a study's parameters mattered."""

import math

from hpsearch.records import Trial, TrialState
from hpsearch.samplers.importances import importances
from hpsearch.service import lookup
from hpsearch.store import listing
from hpsearch.store.engine import Database
from hpsearch.wire import Importances

MOST = 10_000  # trials that are looked at, the first planned


def of_study(db: Database, key: str) -> Importances:
    """Over completed trainings on the whole data. Raises NotFound."""
    with db.read() as tx:
        study = lookup.study(tx, key)
        trials = listing.by_number(tx, study.id, first=0, limit=MOST)
    results = [(trial.params, trial.value) for trial in trials if _counts(trial) and trial.value is not None]
    spec = study.spec
    shares = importances(spec.space, results, maximize=spec.objective.direction == "maximize")
    return Importances(metric=spec.objective.metric, trials=len(results), importances=shares)


def _counts(trial: Trial) -> bool:
    whole = trial.program.kind == "train" and trial.program.subset_batches is None
    return (
        whole
        and trial.state is TrialState.COMPLETED
        and trial.value is not None
        and math.isfinite(trial.value)
    )
