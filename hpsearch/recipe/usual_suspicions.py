"""What may be wrong with any run: its learning rate, its length, its size, its batch."""

from hpsearch.recipe.case import TINY_BATCH, Case
from hpsearch.recipe.rates import (
    HIGH_MOMENTUM,
    LARGE_UPDATE,
    LONG_WARMUP,
    jumps,
    rate_too_high,
    rate_too_low,
    steps_are_large,
)
from hpsearch.recipe.suspicion import Raise, Suspicion
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

USUAL_BATCH = 32


def usual(case: Case) -> tuple[Raise, ...]:
    """Rates, length and size, in the order in which this run's curve makes them likely."""
    if case.run.diverged or not case.learned:
        rates = (rate_too_high, rate_too_low) if steps_are_large(case) else (rate_too_low, rate_too_high)
        return (*rates, _tiny_batch, _too_small) if case.run.diverged else (_tiny_batch, *rates, _too_small)
    if case.short:
        return _of_short_runs(case)
    if case.number("batch_size") <= TINY_BATCH:  # each step is mostly noise, which a lower rate averages out
        return (rate_too_high, _tiny_batch, _plateau, rate_too_low, _too_small, _train_longer)
    return _of_long_runs(case)


def _of_short_runs(case: Case) -> tuple[Raise, ...]:
    """A run of so few epochs says nothing of the model's size while it gets better."""
    rates = (_train_longer, rate_too_low, rate_too_high)
    if steps_are_large(case):
        rates = (rate_too_high, _train_longer, rate_too_low)
    return rates if case.descending else (*rates, _too_small)


def _of_long_runs(case: Case) -> tuple[Raise, ...]:
    if case.still_falling or case.number("warmup_epochs") > LONG_WARMUP * case.epochs:
        rough = jumps(case) or case.number("momentum") > HIGH_MOMENTUM
        rates = (rate_too_high, rate_too_low) if rough else (rate_too_low, rate_too_high)
        return (*rates, _train_longer, _too_small, _plateau)
    if case.feature("update_ratio_median") > LARGE_UPDATE:
        return (rate_too_high, rate_too_low, _too_small, _plateau, _train_longer)
    return (rate_too_high, rate_too_low, _too_small, _train_longer, _plateau)


def _plateau(case: Case) -> Suspicion | None:
    if case.values["schedule"] != "constant":
        return None
    changes: Params = {
        "schedule": "step", "schedule_epochs": 0.0, "step_epochs": case.epochs, "step_factor": 0.1,
    }  # fmt: skip
    why = "the training loss has not settled"
    return Suspicion(VerdictCode.PLATEAU_DECAY, why, (changes,), share=0.2, continues=True)


def _train_longer(case: Case) -> Suspicion | None:
    if case.values["schedule"] != "constant":
        # It can't be continued: whether twice the length would pay, half the length tells.
        why = "the training data are not fit, and half the length does much worse"
        return Suspicion(VerdictCode.TRAIN_LONGER, why, ({},), share=0.5, halves=True)
    share = 0.6 if case.short else 0.3 if case.still_falling else 0.2
    return Suspicion(
        VerdictCode.TRAIN_LONGER, "the training data are not fit yet", ({},), share=share, continues=True
    )


def _tiny_batch(case: Case) -> Suspicion | None:
    """A gradient of a few samples is mostly noise, and batch norm takes their mean for everybody's."""
    size = case.number("batch_size")
    if size > TINY_BATCH:
        return None
    why = f"minibatches of {size:g}: updates are mostly noise"
    advice = "larger batches, or a lower or decayed learning rate"
    return Suspicion(VerdictCode.NOISY_EVAL, why, ({"batch_size": USUAL_BATCH},), share=0.4, advice=advice)


def _too_small(case: Case) -> Suspicion | None:
    if not case.sizing:
        return None
    return Suspicion(VerdictCode.UNDERFIT, "the training data are not fit", (case.sizing,), share=0.2)
