"""The answer to a study: its best points, and what can't be told apart from the winner."""

import math
import statistics
from collections.abc import Sequence

from hpsearch.recipe import ranking
from hpsearch.records import Best, StudyId, Tie, Trial
from hpsearch.spec import StudySpec
from hpsearch.store import listing, stages, trials
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow
from hpsearch.wire import BestList

MAX_TIES = 100


def best(tx: Transaction, study: StudyRow, n: int) -> BestList:
    """At most n, best first. Diverged and failed trials are no answer and do not appear, nor do probes."""
    spec = study.spec
    if study.study.examines is not None:
        return BestList(best=())
    if spec.method == "recipe":
        known = stages.of_study(tx, study.id)
        return BestList(best=tuple(ranking.best(spec, known, trials.of_study(tx, study.id), n)))
    if spec.replicates == 1:
        return BestList(best=tuple(_by_trial(tx, study.id, spec, n)))
    return BestList(best=tuple(_by_point(tx, study.id, spec, n)))


def _by_trial(tx: Transaction, study_id: StudyId, spec: StudySpec, n: int) -> list[Best]:
    """One trial a point: noise is what the winner's own evaluation says (`objective_se`)."""
    direction = spec.objective.direction
    winners = listing.top(tx, study_id, direction, limit=n)
    if not winners:
        return []
    first = winners[0]
    assert first.value is not None
    error = first.measurement("objective_se")
    near: Sequence[Trial] = ()
    if math.isfinite(error):
        within = (first.value - error, first.value + error)
        near = listing.top(tx, study_id, direction, limit=MAX_TIES + 1, within=within)
    ties = tuple(_tie(trial, trial.value) for trial in near if trial.id != first.id)
    return [_best([trial], ties if trial is first else ()) for trial in winners]


def _by_point(tx: Transaction, study_id: StudyId, spec: StudySpec, n: int) -> list[Best]:
    """Replicated points rank by their mean; noise is the standard error over the winner's replicates."""
    limit = max(n, MAX_TIES + 1)
    points = listing.top_points(
        tx, study_id, spec.objective.direction, replicates=spec.replicates, limit=limit
    )
    groups = [listing.by_number(tx, study_id, first=number, limit=spec.replicates) for number, _ in points]
    if not groups:
        return []
    winner = _best(groups[0], ())
    error = winner.standard_error or 0.0
    ties = tuple(
        _tie(group[0], mean) for group in groups[1:] if abs((mean := _mean(group)) - winner.value) <= error
    )
    return [_best(group, ties if i == 0 else ()) for i, group in enumerate(groups[:n])]


def _best(group: Sequence[Trial], ties: tuple[Tie, ...]) -> Best:
    first = group[0]
    return Best(
        trial_id=first.id,
        number=first.number,
        params=first.params,
        value=_mean(group),
        standard_error=_error(group),
        replicates=len(group),
        metrics=first.metrics,
        ties=ties,
    )


def _tie(trial: Trial, value: float | None) -> Tie:
    assert value is not None
    return Tie(trial_id=trial.id, number=trial.number, params=trial.params, value=value)


def _values(group: Sequence[Trial]) -> list[float]:
    return [trial.value for trial in group if trial.value is not None]


def _mean(group: Sequence[Trial]) -> float:
    return statistics.fmean(_values(group))


def _error(group: Sequence[Trial]) -> float | None:
    """Standard error of the mean over replicates; of one trial, what its evaluation measured."""
    if len(group) > 1:
        return statistics.stdev(_values(group)) / math.sqrt(len(group))
    error = group[0].measurement("objective_se")
    return error if math.isfinite(error) else None
