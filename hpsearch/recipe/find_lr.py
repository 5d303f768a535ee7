"""Step 3: find a learning rate that makes the loss drop within 100 iterations.

recipe.md §3 step 3. A rate passes if the last 20 losses are lower than 20 losses at initialization
(one-sided Mann-Whitney, p < 0.01), the median fell by 10 % and lies below 0.95 of the loss at chance: a
test alone passes 35 % of runs at 1e-5, and a too large last layer "drops" without learning. Of the rates
that pass, the lowest loss after 100 iterations wins (mean regret 0.7 points, against 2.2 to 8.2 of five
other rules).
"""

import math
import statistics
from collections.abc import Sequence

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.history import Facts, History
from hpsearch.records import Evidence, Remedy, Stage, StageState, Trial, TrialPlan, TrialState, Verdict
from hpsearch.vocabulary import VerdictCode

DECADES = (1e-1, 1e-2, 1e-3, 1e-4)
STEPS = 100
SMALL_DECAY = 1e-5
P_VALUE, DROP, CHANCE_SHARE = 0.01, 0.10, 0.95
TIE = 0.05  # of the loss at chance
SPIKE = 1.5  # highest smoothed loss over the first
EXTENSIONS = 2  # decades beyond either end


def step(history: History, stage: Stage) -> Answer:
    if not history.done((history.check(),)):
        return (history.check(),)  # step 2 may have changed the settings the baseline depends on
    facts = history.facts()
    every = start_rates(history)
    rates = every[:2]
    for _ in range(2 * EXTENSIONS + len(every)):
        plans = tuple(_plan(history, rate) for rate in rates)
        if not history.done(plans):
            return plans
        results = history.results(plans)
        best = pick(results, facts)
        left = [rate for rate in every if rate < min(rates)]
        lowest_wins = best is None or float(best.params["learning_rate"]) == min(rates)
        if lowest_wins and left:  # the loss after 100 steps has one valley over the rates
            rates = [*rates, left[0]]
            continue
        beyond = None if best is None else _beyond(history, rates, float(best.params["learning_rate"]))
        if beyond is None:
            break
        rates = sorted({*rates, beyond}, reverse=True)
    return _close(history, stage, results, best, facts)


def start_rates(history: History) -> list[float]:
    """The lecture's four decades within the bounds; where none is, four points between the bounds."""
    inside = history.inside("learning_rate", DECADES)
    if inside:
        return inside
    low, high = history.bounds("learning_rate")
    if low == high:
        return [low]
    logs = [math.log(low) + i / 3 * (math.log(high) - math.log(low)) for i in range(4)]
    return history.inside("learning_rate", [low, math.exp(logs[1]), math.exp(logs[2]), high])[::-1]


def _plan(history: History, rate: float) -> TrialPlan:
    decay = history.inside("weight_decay", [SMALL_DECAY]) or [history.bounds("weight_decay")[0]]
    return history.train(
        history.point(learning_rate=rate, weight_decay=decay[0]), steps=STEPS, role="learning rate"
    )


def _beyond(history: History, rates: Sequence[float], best: float) -> float | None:
    """One decade past the end that won, inside the bounds, at most two per side; else None."""
    for end, factor, first in ((max(rates), 10.0, max(DECADES)), (min(rates), 0.1, min(DECADES))):
        if best == end and len(rates) > 1:
            inside = history.inside("learning_rate", [best * factor])
            within = abs(math.log10(best * factor / first)) <= EXTENSIONS + 1e-6
            if inside and within and inside[0] not in rates:
                return inside[0]
    return None


def last_median(trial: Trial) -> float:
    """Median of the last 20 minibatch losses; infinite where the run diverged or failed."""
    losses = trial.measurement_list("last_losses")
    if trial.state is not TrialState.COMPLETED or not losses:
        return math.inf
    return statistics.median(losses)


def passes(trial: Trial, facts: Facts) -> bool:
    """Whether this learning rate makes the loss drop, beyond chance and noise."""
    losses = trial.measurement_list("last_losses")
    if trial.state is not TrialState.COMPLETED or not losses or not facts.baseline:
        return False
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - see plan.load

    median, before = statistics.median(losses), statistics.median(facts.baseline)
    p = float(mannwhitneyu(losses, facts.baseline, alternative="less").pvalue)
    return p < P_VALUE and median <= (1 - DROP) * before and median < CHANCE_SHARE * facts.chance_loss


def pick(results: Sequence[Trial], facts: Facts) -> Trial | None:
    """The passing rate with the lowest loss; within a tie the larger rate, if its loss did not spike."""
    passing = [trial for trial in results if passes(trial, facts)]
    if not passing:
        return None
    lowest = min(last_median(trial) for trial in passing)
    best = min(passing, key=last_median)
    tied = [
        trial
        for trial in passing
        if last_median(trial) <= lowest + TIE * facts.chance_loss
        and (trial is best or trial.measurement("loss_spike", math.inf) <= SPIKE)
    ]
    return max(tied, key=lambda trial: float(trial.params["learning_rate"]))


def _evidence(results: Sequence[Trial], facts: Facts) -> tuple[Evidence, ...]:
    before = statistics.median(facts.baseline) if facts.baseline else math.nan
    limit = min((1 - DROP) * before, CHANCE_SHARE * facts.chance_loss)
    return tuple(
        Evidence(
            name=f"lr {trial.params['learning_rate']:g}: loss after {STEPS} steps",
            value=last_median(trial),
            threshold=f"< {limit:.3g} and p < {P_VALUE}",
            ok=passes(trial, facts),
            text="diverged" if trial.state is TrialState.DIVERGED else "",
        )
        for trial in sorted(results, key=lambda t: float(t.params["learning_rate"]))
    )


def _close(
    history: History, stage: Stage, results: Sequence[Trial], best: Trial | None, facts: Facts
) -> Answer:
    diverged = [float(t.params["learning_rate"]) for t in results if t.state is TrialState.DIVERGED]
    limits = [*diverged, *([history.carry.stability_limit] if history.carry.stability_limit else [])]
    carry = history.carry.model_copy(update={"stability_limit": min(limits, default=None)})
    evidence = _evidence(results, facts)
    if best is None:
        all_diverged = len(diverged) == len(results)
        verdict = Verdict(
            code=VerdictCode.LR_TOO_HIGH if all_diverged else VerdictCode.UNDERFIT,
            text=f"no learning rate makes the loss drop within {STEPS} steps"
            + (": all diverged" if all_diverged else ""),
            confidence=0.7,
            evidence=evidence,
            remedy=Remedy(
                text="widen the bounds of learning_rate, or change the initialization or architecture"
            ),
        )
        return ended(stage, StageState.FAILED, verdict, carry)
    rate = float(best.params["learning_rate"])
    verdict = Verdict(
        code=VerdictCode.OK,
        text=f"learning rate {rate:g} brings the loss from {statistics.median(facts.baseline):.3g} to {last_median(best):.3g} in {STEPS} steps",
        confidence=0.9,
        evidence=evidence,
    )
    return ended(stage, StageState.PASSED, verdict, carry.model_copy(update={"learning_rate": rate}))
