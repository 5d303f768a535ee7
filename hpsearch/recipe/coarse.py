"""Step 4: a coarse grid of learning rate x weight decay, ranked by validation loss after a few epochs.

recipe.md §3 step 4: learning rate of step 3 x {10**-1/2, 1, 10**1/2}, weight decay {0, 1e-5, 1e-4}; keep
the top 3; extend the grid where its best lies on an edge and beats its inner neighbour by more than one
standard error, at most twice a side; shift it down where more than half of it diverged.
"""

import math
from collections.abc import Sequence

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.grid import cross
from hpsearch.recipe.history import History
from hpsearch.recipe.ranking import pooled_error, tail_loss
from hpsearch.records import Evidence, Remedy, Stage, StageState, Trial, TrialPlan, TrialState, Verdict
from hpsearch.vocabulary import VerdictCode

HALF_DECADE = 10**0.5
DECAYS = (0.0, 1e-5, 1e-4)
# AdamW decays by lr x wd a step, so that product is what the grid spans (recipe.md, §1.4).
ADAMW_PRODUCTS = (0.0, 1e-6, 1e-5)
SURVIVORS = 3
EXTENSIONS = 2
INFEASIBLE = 0.5
# An epoch of a small set is a few steps, and so few favour rates that diverge later (seen on 106 samples, 3
# steps an epoch: three epochs chose learning rate 1, which no run of 15 epochs survived).
MIN_STEPS = 50


def step(history: History, stage: Stage) -> Answer:
    centre = history.carry.learning_rate
    assert centre is not None
    rates = history.inside("learning_rate", [centre / HALF_DECADE, centre, centre * HALF_DECADE])
    decays = start_decays(history, centre)
    notes: list[str] = []
    while True:
        plans = _plans(history, rates, decays)
        if not history.done(plans):
            return plans
        results = history.results(plans)
        wider = _shifted(history, results, rates, decays, notes) or _extended(
            history, results, rates, decays, centre, notes
        )
        if wider is None:
            return _close(history, stage, results, notes)
        rates, decays = wider


def coarse_epochs(history: History) -> float:
    """The study's setting, but never less than 50 steps."""
    per_epoch = max(1.0, history.facts().steps_per_epoch)
    return max(history.spec.recipe.coarse_epochs, float(math.ceil(MIN_STEPS / per_epoch)))


def start_decays(history: History, rate: float) -> list[float]:
    """Weight decays of the grid: the study's own choices, its fixed value, else the lecture's."""
    axis = history.spec.space.get("weight_decay")
    if axis is not None and axis.choices is not None:
        return history.inside("weight_decay", [float(c) for c in axis.choices if isinstance(c, int | float)])
    if not history.free("weight_decay"):
        return [history.bounds("weight_decay")[0]]
    wanted = DECAYS
    if history.value("optimizer") == "adamw":
        wanted = tuple(product / rate for product in ADAMW_PRODUCTS)  # type: ignore[assignment]
    elif axis is not None:  # the study's own range is a question: its upper end belongs to the grid
        wanted = (0.0, axis.bounds[1] / 100, axis.bounds[1])
    low, high = history.bounds("weight_decay")
    inside = history.inside("weight_decay", wanted)
    return inside or history.inside(
        "weight_decay", [low, math.sqrt(low * high) if low > 0 else high / 10, high]
    )


def _plans(history: History, rates: Sequence[float], decays: Sequence[float]) -> tuple[TrialPlan, ...]:
    centre = history.carry.learning_rate or 1.0
    points = cross(history, {}, rates, decays)
    points.sort(key=lambda p: abs(math.log10(float(p["learning_rate"]) / centre)))
    return tuple(history.train(point, epochs=coarse_epochs(history), role="coarse") for point in points)


def _shifted(
    history: History, results: Sequence[Trial], rates: list[float], decays: list[float], notes: list[str]
) -> tuple[list[float], list[float]] | None:
    """The grid a decade lower where more than half of it diverged; once."""
    diverged = [t for t in results if t.state is TrialState.DIVERGED]
    if len(diverged) <= INFEASIBLE * len(results) or any("shifted" in note for note in notes):
        return None
    lower = history.inside("learning_rate", [rate / 10 for rate in rates])
    if not lower:
        return None
    notes.append(f"{len(diverged)} of {len(results)} points diverged: the grid was shifted a decade down")
    return lower, decays


def _extended(
    history: History,
    results: Sequence[Trial],
    rates: list[float],
    decays: list[float],
    centre: float,
    notes: list[str],
) -> tuple[list[float], list[float]] | None:
    """One value more beyond an edge whose best beats its inner neighbour; None where none does."""
    finite = [t for t in results if math.isfinite(tail_loss(t))]
    if not finite or history.spec.recipe.search == "random":
        return None
    best, error = min(finite, key=tail_loss), pooled_error(finite)
    rate, decay = float(best.params["learning_rate"]), float(best.params["weight_decay"])
    for name, values, value, factor in (
        ("learning_rate", sorted(rates), rate, HALF_DECADE),
        ("weight_decay", sorted(decays), decay, 10.0),
    ):
        beyond = _beyond_edge(values, value, factor)
        other = "weight_decay" if name == "learning_rate" else "learning_rate"
        if beyond is None or not _beats_inner(finite, best, name, other, values, error):
            continue
        if (
            sum(f"{name} beyond {'low' if beyond < value else 'high'}" in note for note in notes)
            >= EXTENSIONS
        ):
            continue
        inside = history.inside(name, [beyond])
        side = "low" if beyond < value else "high"
        if not inside:
            notes.append(f"best {name} {value:g} lies on the bound of the space")
            continue
        notes.append(f"best at the edge: added {name} beyond {side}, {inside[0]:g}")
        return (
            (sorted([*rates, inside[0]]), decays)
            if name == "learning_rate"
            else (rates, sorted([*decays, inside[0]]))
        )
    return None


def _beyond_edge(values: Sequence[float], value: float, factor: float) -> float | None:
    """The next value past the end that `value` is; None inside, and below the closed end zero."""
    if len(values) < 2:
        return None
    if value == values[-1]:
        return value * factor
    if value == values[0] and value > 0:
        return value / factor
    return None


def _beats_inner(
    finite: Sequence[Trial], best: Trial, name: str, other: str, values: Sequence[float], error: float
) -> bool:
    inner_value = values[-2] if best.params[name] == values[-1] else values[1]
    inner = [t for t in finite if t.params[name] == inner_value and t.params[other] == best.params[other]]
    return bool(inner) and tail_loss(inner[0]) - tail_loss(best) > error


def _close(history: History, stage: Stage, results: Sequence[Trial], notes: list[str]) -> Answer:
    ranked = sorted((t for t in results if math.isfinite(tail_loss(t))), key=tail_loss)
    diverged = [float(t.params["learning_rate"]) for t in results if t.state is TrialState.DIVERGED]
    limits = [*diverged, *([history.carry.stability_limit] if history.carry.stability_limit else [])]
    if not ranked:
        return ended(stage, StageState.FAILED, _nothing(results), history.carry)
    error = pooled_error(ranked)
    ties = [t for t in ranked if tail_loss(t) <= tail_loss(ranked[0]) + error]
    carry = history.carry.model_copy(
        update={
            "survivors": tuple(t.params for t in ranked[:SURVIVORS]),
            "ties": tuple(t.params for t in ties),
            "stability_limit": min(limits, default=None),
            "grid": (),
            "note": "; ".join(dict.fromkeys(notes)),
        }
    )
    best = ranked[0]
    verdict = Verdict(
        code=VerdictCode.OK,
        text=f"best of {len(results)}: learning rate {best.params['learning_rate']:.3g}, weight decay "
        f"{best.params['weight_decay']:.3g}, validation loss {tail_loss(best):.3g} ± {error:.2g}; {_tie_text(ties)}",
        confidence=0.9,
        evidence=_evidence(ranked, results, error, notes),
    )
    on_bound = any("bound of the space" in note for note in notes)
    return ended(stage, StageState.WARNED if on_bound or diverged else StageState.PASSED, verdict, carry)


def _tie_text(ties: Sequence[Trial]) -> str:
    count = len(ties) - 1
    return "no other point within its error" if count == 0 else f"{count} more within its error"


def _evidence(
    ranked: Sequence[Trial], results: Sequence[Trial], error: float, notes: Sequence[str]
) -> tuple[Evidence, ...]:
    limit = tail_loss(ranked[0]) + error
    points = tuple(
        Evidence(
            name=f"lr {t.params['learning_rate']:.3g}, wd {t.params['weight_decay']:.3g}: validation loss",
            value=tail_loss(t),
            threshold=f"<= {limit:.3g} ties with the best",
            ok=tail_loss(t) <= limit,
        )
        for t in ranked
    )
    lost = len(results) - len(ranked)
    share = Evidence(
        name="diverged or failed",
        value=lost / len(results),
        threshold=f"<= {INFEASIBLE}",
        ok=lost <= INFEASIBLE * len(results),
    )
    return (*points, share, *(Evidence(name="note", value=None, text=note) for note in dict.fromkeys(notes)))


def _nothing(results: Sequence[Trial]) -> Verdict:
    failed = [t for t in results if t.state is TrialState.FAILED]
    if failed:
        return Verdict(
            code=VerdictCode.NOT_ENOUGH_EVIDENCE,
            text=f"no point finished: {failed[0].message or failed[0].reason}",
            confidence=1.0,
            remedy=Remedy(text="mend the task and retry the study"),
        )
    return Verdict(
        code=VerdictCode.LR_TOO_HIGH,
        text="every point of the coarse grid diverged",
        confidence=0.9,
        remedy=Remedy(text="lower the bounds of learning_rate, add warmup_epochs or clip_norm"),
    )
