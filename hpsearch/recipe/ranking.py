"""Which point is better, and how sure that is. Ties are answers: up to 21 of 25 configurations were
measured to lie within one seed's standard deviation of the best (recipe.md, step 4).
"""

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from hpsearch.records import Best, Stage, StageId, StageKind, StageState, Tie, Trial, TrialState
from hpsearch.space import Params, ParamValue
from hpsearch.spec import StudySpec

BETTER = 0.75  # P(A > B) from which A is better (Bouthillier et al. 2021)
Key = tuple[tuple[str, ParamValue], ...]


def key_of(params: Params) -> Key:
    """A point's identity across replicates."""
    return tuple(sorted(params.items()))


def by_point(trials: Sequence[Trial]) -> dict[Key, list[Trial]]:
    """Trials grouped by their point, replicates in order."""
    groups: dict[Key, list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda t: t.replicate):
        groups[key_of(trial.params)].append(trial)
    return dict(groups)


def tail_loss(trial: Trial) -> float:
    """What coarse points rank by: mean validation loss of the last two evaluations; infinite without one."""
    return _measured(trial, "val_loss_tail")


def best_loss(trial: Trial) -> float:
    """What refined points rank by: the lowest mean validation loss of two neighbouring evaluations."""
    return _measured(trial, "val_loss_best")


def _measured(trial: Trial, name: str) -> float:
    if trial.state is not TrialState.COMPLETED:
        return math.inf
    value = trial.measurement(name)
    return math.inf if math.isnan(value) else value


def pooled_error(trials: Sequence[Trial]) -> float:
    """One standard error for single-seed losses: the median late validation noise of these runs."""
    known = [
        e
        for t in trials
        if t.state is TrialState.COMPLETED and not math.isnan(e := t.measurement("val_loss_se"))
    ]
    return statistics.median(known) if known else 0.0


def probability_better(a: Sequence[float], b: Sequence[float]) -> float:
    """P(mean(A) < mean(B)) by the paired bootstrap over replicates, ties half; exact for up to 5 pairs.

    Losses of the same replicates in the same order. With one pair it is 0, 1/2 or 1.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    if len(differences) > 5:
        # Normal approximation of the bootstrap's mean; exact enumeration grows as n**n.
        error = statistics.stdev(differences) / math.sqrt(len(differences))
        mean = statistics.fmean(differences)
        if error == 0:
            return 0.5 if mean == 0 else float(mean < 0)
        return statistics.NormalDist(mean, error).cdf(0.0)
    sums = [math.fsum(sample) for sample in itertools.product(differences, repeat=len(differences))]
    wins = sum(1.0 if s < 0 else 0.5 if s == 0 else 0.0 for s in sums)
    return wins / len(sums)


def mean_loss(group: Sequence[Trial], loss: Callable[[Trial], float] = best_loss) -> float:
    return statistics.fmean(loss(trial) for trial in group)


def tied_with_best(groups: Mapping[Key, Sequence[Trial]]) -> list[Key]:
    """The points that the best one (lowest mean loss) does not beat, best first. Needs equal replicates."""
    order = sorted(groups, key=lambda key: mean_loss(groups[key]))
    if not order:
        return []
    best = [best_loss(trial) for trial in groups[order[0]]]
    return [
        key
        for key in order
        if key == order[0] or probability_better(best, [best_loss(t) for t in groups[key]]) < BETTER
    ]


# --- the study's answer --------------------------------------------------------------------------


def best(spec: StudySpec, stages: Sequence[Stage], trials: Sequence[Trial], n: int) -> tuple[Best, ...]:
    """The recipe's answer: the winner of `final` on fresh seeds, before that the best of the last stage.

    Further entries (up to n) are the next best points of the stage the winner was chosen in.
    """
    stage_of = {stage.id: stage for stage in stages}
    search = [t for t in trials if _is_candidate(t, stage_of)]
    if not search:
        return ()
    ranked = _ranked(spec, search)
    final = [t for t in trials if stage_of[t.stage_id].kind is StageKind.FINAL and t.value is not None]
    done = any(s.kind is StageKind.FINAL and s.state is not StageState.RUNNING for s in stages)
    if final and done:
        return (_answer(spec, final, _ties_of_winner(spec, stages, ranked)), *ranked[: n - 1])[:n]
    return tuple(ranked[:n])


def _is_candidate(trial: Trial, stage_of: Mapping[StageId, Stage]) -> bool:
    plain = trial.program.kind == "train" and trial.program.subset_batches is None
    kind = stage_of[trial.stage_id].kind
    return (
        plain
        and trial.value is not None
        and math.isfinite(trial.value)
        and kind in (StageKind.COARSE, StageKind.REFINE)
    )


def _ranked(spec: StudySpec, trials: Sequence[Trial]) -> list[Best]:
    """Each point of the longest budget by its mean objective, best first."""
    longest = max(t.budget.epochs or 0.0 for t in trials if t.budget is not None)
    groups = by_point([t for t in trials if t.budget is not None and t.budget.epochs == longest])
    answers = [_answer(spec, group, ()) for group in groups.values()]
    answers.sort(key=lambda answer: -spec.objective.sign * answer.value)
    top = answers[0]
    margin = top.standard_error or 0.0
    ties = tuple(
        Tie(trial_id=a.trial_id, number=a.number, params=a.params, value=a.value)
        for a in answers[1:]
        if abs(a.value - top.value) <= margin
    )
    return [top.model_copy(update={"ties": ties}), *answers[1:]]


def _ties_of_winner(spec: StudySpec, stages: Sequence[Stage], ranked: Sequence[Best]) -> tuple[Tie, ...]:
    """What the last refined stage could not tell apart from the winner."""
    refined = [s for s in stages if s.kind is StageKind.REFINE and s.carried]
    tied = refined[-1].carried.get("ties", []) if refined else []
    keys = [key_of({**spec.fixed, **params}) for params in tied]
    return tuple(
        Tie(trial_id=a.trial_id, number=a.number, params=a.params, value=a.value)
        for a in ranked
        if key_of(a.params) in keys
    )


def _answer(spec: StudySpec, group: Sequence[Trial], ties: tuple[Tie, ...]) -> Best:
    values = [float(t.value) for t in group if t.value is not None]
    first = group[0]
    names = set.intersection(*(set(t.metrics) for t in group))
    metrics = {name: statistics.fmean(t.metrics[name] for t in group) for name in sorted(names)}
    return Best(
        trial_id=first.id,
        number=first.number,
        params={**spec.fixed, **first.params},
        value=statistics.fmean(values),
        standard_error=_standard_error(values, first),
        replicates=len(values),
        metrics=metrics,
        ties=ties,
    )


def _standard_error(values: Sequence[float], trial: Trial) -> float | None:
    """Over seeds where there are several, else the run's own late noise; None where neither is known.

    A share of right answers can't be known finer than one validation sample.
    """
    if len(values) > 1:
        return statistics.stdev(values) / math.sqrt(len(values))
    own, size = trial.measurement("objective_se"), trial.measurement("val_size")
    if math.isnan(own):
        return None
    share = 0.0 <= values[0] <= 1.0 and size > 0
    return max(own, 1.0 / size) if share else own
