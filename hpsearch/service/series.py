"""A trial's curves, put together from the runs that trained it and the trial that it continues."""

from collections.abc import Collection, Sequence

from hpsearch.records import Points, Series, TrialId
from hpsearch.store import listing, metrics, runs
from hpsearch.store.engine import Transaction

CHUNK = 500


def of_trials(
    tx: Transaction, ids: Sequence[TrialId], names: Collection[str] | None = None
) -> dict[TrialId, Series]:
    """Each trial's whole curves: its last run's points, before them those of its earlier runs and of the
    trial it continues that lie before the first step of what follows."""
    whole: dict[TrialId, Series] = {}
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        chain = listing.with_chain(tx, some)
        own = _own(tx, chain, names)
        whole |= {trial_id: _chained(trial_id, chain, own) for trial_id in some}
    return whole


def _own(
    tx: Transaction, ids: Collection[TrialId], names: Collection[str] | None
) -> dict[TrialId, list[Series]]:
    """Each trial's runs' curves, the last run first."""
    by_trial = runs.ids_of_trials(tx, ids)
    chunks = metrics.chunks(tx, [run_id for found in by_trial.values() for run_id in found], names)
    return {
        trial_id: [joined(chunks[run_id]) for run_id in reversed(found)]
        for trial_id, found in by_trial.items()
    }


def _chained(
    trial_id: TrialId, chain: dict[TrialId, TrialId | None], own: dict[TrialId, list[Series]]
) -> Series:
    series: Series = {}
    current: TrialId | None = trial_id
    while current is not None and current in own:
        for earlier in own[current]:
            series = preceded(series, earlier)
        current = chain[current]
    return series


def joined(stretches: Sequence[Series]) -> Series:
    """One run's stretches in order, end to end."""
    if len(stretches) == 1:
        return stretches[0]
    steps: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for stretch in stretches:
        for name, points in stretch.items():
            steps.setdefault(name, []).extend(points.steps)
            values.setdefault(name, []).extend(points.values)
    return {name: _points(steps[name], values[name]) for name in steps}


def preceded(series: Series, earlier: Series) -> Series:
    """`series` with those points of `earlier` before it that lie before its own first step."""
    first = min((points.steps[0] for points in series.values() if points.steps), default=None)
    if first is None:
        return earlier
    whole = dict(series)
    for name, points in earlier.items():
        kept = sum(step < first for step in points.steps)
        if kept:
            after = series.get(name, Points(steps=(), values=()))
            whole[name] = _points(
                [*points.steps[:kept], *after.steps], [*points.values[:kept], *after.values]
            )
    return whole


def _points(steps: Sequence[int], values: Sequence[float]) -> Points:
    # Both lists were checked when they were reported.
    return Points.model_construct(steps=tuple(steps), values=tuple(values))
