"""Step 5: a refined grid around the survivors, trained longer at a constant learning rate.

recipe.md §3 step 5: learning rate x {10**-1/4, 1, 10**1/4}, weight decay x {10**-1/2, 1, 10**1/2}, 10-20
epochs, best snapshot kept; one seed for all, then three paired seeds for the top three. Of the points that
can't be told apart, the one with the smaller gap wins.
"""

import math
import statistics
from collections.abc import Sequence

from hpsearch.recipe.coarse import coarse_epochs
from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.grid import around, cross, distinct
from hpsearch.recipe.history import History
from hpsearch.recipe.ranking import Key, best_loss, by_point, key_of, mean_loss, pooled_error, tied_with_best
from hpsearch.records import Evidence, Remedy, Stage, StageState, Trial, TrialPlan, TrialState, Verdict
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

TOP = 3
DECAY_DECADES = 0.5
LONGER = 3  # a refined run is at least so many times as long as a coarse one
LOWER = 10**-0.5  # learning rates are lowered by this, at most twice, where every point diverged
LOWERINGS = 2


def step(history: History, stage: Stage) -> Answer:
    points = wanted_points(history)
    results: list[Trial] = []
    for _ in range(1 + LOWERINGS):
        plans = tuple(_plan(history, point) for point in points)
        if not history.done(plans):
            return plans
        results += history.results(plans)
        ranked = sorted((t for t in results if math.isfinite(best_loss(t))), key=best_loss)
        if ranked:
            break
        points = _lowered(history, points)
    if not ranked:
        return ended(stage, StageState.FAILED, _nothing(results), history.carry)
    seeds = range(1, history.spec.recipe.replicates)
    repeats = tuple(_plan(history, t.params, replicate=r) for t in ranked[:TOP] for r in seeds)
    if not history.done(repeats):
        return repeats
    return _close(history, stage, ranked, results, history.results(repeats))


def wanted_points(history: History) -> list[Params]:
    """A remedy's grid where there is one, else the box around each survivor."""
    carry = history.carry
    if carry.grid:
        return distinct(carry.grid)
    points: list[Params] = []
    for survivor in carry.survivors:
        rate, decay = float(survivor["learning_rate"]), float(survivor["weight_decay"])
        base = {k: v for k, v in survivor.items() if k not in ("learning_rate", "weight_decay")}
        points += cross(history, base, around(rate, carry.spacing), around(decay, DECAY_DECADES))
    return distinct(points)


def _lowered(history: History, points: Sequence[Params]) -> list[Params]:
    """The same points at lower learning rates, as far as the bounds allow."""
    rates = [history.inside("learning_rate", [float(p["learning_rate"]) * LOWER]) for p in points]
    lower = [history.point(**{**p, "learning_rate": r[0]}) for p, r in zip(points, rates, strict=True) if r]
    return distinct(lower)


def _plan(history: History, point: Params, replicate: int = 0) -> TrialPlan:
    return history.train(point, epochs=_epochs(history), role="refine", replicate=replicate)


def _epochs(history: History) -> float:
    """What the last round decided, else the study's setting, and never shorter than three coarse runs."""
    own = history.spec.recipe.refine_epochs
    return history.carry.epochs or max(own, LONGER * coarse_epochs(history))


def _close(
    history: History,
    stage: Stage,
    ranked: Sequence[Trial],
    results: Sequence[Trial],
    repeats: Sequence[Trial],
) -> Answer:
    """Rank the top points over their paired seeds; a seed that diverged disqualifies its point."""
    groups = by_point([*ranked[:TOP], *repeats])
    sound = {key: group for key, group in groups.items() if all(math.isfinite(best_loss(t)) for t in group)}
    if not sound:
        sound = {key_of(ranked[0].params): [ranked[0]]}
    tied = tied_with_best(sound)
    winner = min(tied, key=lambda key: (round(_gap(sound[key]), 2), mean_loss(sound[key])))
    loss, error = mean_loss(sound[winner]), _error(sound[winner], ranked)
    point = sound[winner][0].params
    ties = [t.params for t in ranked if best_loss(t) <= best_loss(ranked[0]) + pooled_error(ranked)]
    others = distinct([*(dict(key) for key in tied if key != winner), *ties])
    carry = history.carry.model_copy(
        update={
            "winner": point,
            "winner_epochs": _epochs(history),
            "winner_on_edge": _on_edge(history, point, results),
            "survivors": tuple(sound[key][0].params for key in [winner, *(k for k in sound if k != winner)]),
            "ties": tuple(p for p in others if key_of(p) != winner),
            "losses": (*history.carry.losses, loss),
            "errors": (*history.carry.errors, error),
            "grid": (),
            "note": "",
        }
    )
    verdict = Verdict(
        code=VerdictCode.OK,
        text=f"best of {len(results)}: {_describe(history, point)}, validation loss {loss:.3g} ± {error:.2g} over "
        f"{len(sound[winner])} seeds; {len(carry.ties)} more can't be told apart",
        confidence=0.9,
        evidence=_evidence(history, sound, tied, winner),
    )
    return ended(stage, StageState.PASSED, verdict, carry)


def _gap(group: Sequence[Trial]) -> float:
    gaps = [gap for t in group if not math.isnan(gap := t.measurement("gap"))]
    return statistics.fmean(gaps) if gaps else 0.0


def _error(group: Sequence[Trial], ranked: Sequence[Trial]) -> float:
    losses = [best_loss(trial) for trial in group]
    return statistics.stdev(losses) / math.sqrt(len(losses)) if len(losses) > 1 else pooled_error(ranked)


def _on_edge(history: History, point: Params, results: Sequence[Trial]) -> bool:
    """Whether the winner's learning rate is the largest or smallest tried, and the space would allow more."""
    rates = sorted({float(t.params["learning_rate"]) for t in results})
    rate = float(point["learning_rate"])
    low, high = history.bounds("learning_rate")
    return len(rates) > 1 and ((rate == rates[0] and rate > low) or (rate == rates[-1] and rate < high))


def _describe(history: History, point: Params) -> str:
    known = {**history.start}
    moved = {k: v for k, v in point.items() if k in ("learning_rate", "weight_decay") or known.get(k) != v}
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in moved.items())


def _evidence(
    history: History, sound: dict[Key, list[Trial]], tied: Sequence[Key], winner: Key
) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            name=f"{_describe(history, group[0].params)}: validation loss",
            value=mean_loss(group),
            threshold="P(best is better) < 0.75 ties",
            ok=key in tied,
            text="winner" if key == winner else "",
        )
        for key, group in sorted(sound.items(), key=lambda item: mean_loss(item[1]))
    )


def _nothing(results: Sequence[Trial]) -> Verdict:
    diverged = sum(t.state is TrialState.DIVERGED for t in results)
    return Verdict(
        code=VerdictCode.LR_TOO_HIGH if diverged else VerdictCode.NOT_ENOUGH_EVIDENCE,
        text=f"no refined point finished: {diverged} of {len(results)} diverged",
        confidence=0.8,
        remedy=Remedy(text="lower the learning rate, add warmup_epochs or clip_norm"),
    )
