"""Suspicions of the learning rate: too high, too low, and which of them to look at first."""

import math

from hpsearch.recipe.case import Case
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

SPIKE, ROUGH = 1.5, 0.3
WILD_UPDATE = 0.05  # of the weights in one step: four times the 95th percentile at the best rates
LARGE_UPDATE = 1e-2  # the 95th percentile
USUAL_UPDATE = 3e-3  # of the weights a step, at the best rates measured (recipe.md, step 3)
TINY_UPDATE = 1e-4  # the 5th percentile
HARD_CLIPPING = 3.0  # times clip_norm: the Playbook calls more than half of the updates clipped too much
HIGH_MOMENTUM = 0.95
LONG_WARMUP = 0.3  # of the run


def steps_are_large(case: Case) -> bool:
    """Which direction of the learning rate to look at first: down where the loss jumped or updates are large."""
    return (
        case.run.diverged
        or case.collapsed
        or jumps(case)
        or case.feature("update_ratio_median") > USUAL_UPDATE
        or case.feature("update_ratio_max") > WILD_UPDATE
    )


def jumps(case: Case) -> bool:
    return case.feature("loss_spike") > SPIKE or case.feature("noise") > ROUGH


def rate_too_high(case: Case) -> Suspicion | None:
    spike, rate, momentum = case.feature("loss_spike"), case.number("learning_rate"), case.number("momentum")
    high = VerdictCode.LR_TOO_HIGH
    if momentum > HIGH_MOMENTUM:
        why = f"momentum {momentum:g} multiplies the rate by {1 / (1 - momentum):.3g}"
        tries: tuple[Params, ...] = ({"momentum": 0.9}, {"learning_rate": rate * 0.1})
        return Suspicion(high, why, tries, share=0.4, strong=True)
    if case.run.diverged:
        return _rates(high, "the run diverged", rate, (0.1, 0.01), share=0.2, strong=True)
    if case.collapsed:
        why = "the loss had fallen and rose again for good"
        return _rates(high, why, rate, (0.1, 0.01), share=0.2, strong=True)
    if not case.learned:
        why = f"the loss stays at chance, its highest {spike:.2g} times its start"
        return _rates(high, why, rate, (0.1, 0.01), share=0.15)
    if spike > SPIKE and case.fitted:
        why = f"the loss reached {spike:.2g} times its start before it fell"
        return _rates(high, why, rate, (0.1, 10**-0.5), share=0.4, strong=True)
    why = f"the loss came to rest unfitted (noise {case.feature('noise'):.2f}, highest {spike:.2g} times its start)"
    far = case.feature("update_ratio_median") > LARGE_UPDATE
    return _rates(high, why, rate, (0.1, 0.01) if far else (0.1,), share=0.15)


def rate_too_low(case: Case) -> Suspicion | None:
    rate, warmup = case.number("learning_rate"), case.number("warmup_epochs")
    if warmup > LONG_WARMUP * case.epochs:
        why = f"warmup takes {warmup:g} epochs of a run of {case.epochs:g}"
        return Suspicion(VerdictCode.LR_TOO_LOW, why, ({"warmup_epochs": 0.0},), share=0.3)
    clip, norm = case.number("clip_norm"), case.feature("grad_norm_median")
    if 0 < clip < norm / HARD_CLIPPING:
        why = f"half of the gradients are {norm / clip:.2g} times as long as clip_norm lets through, and more"
        return Suspicion(VerdictCode.LR_TOO_LOW, why, ({"clip_norm": 0.0},), share=0.3)
    if not case.learned:
        factors = _upwards(case.feature("update_ratio_max"))
        # An eighth of a short run shows nothing: two rates at most, for longer.
        factors, share = (factors[:2], 0.4) if case.short else (factors, 0.12)
        return _rates(VerdictCode.LR_TOO_LOW, "the loss never left chance", rate, factors, share=share)
    if not case.still_falling:
        # A rate far too low can look as settled as a floor does.
        tiny = 0 < case.feature("update_ratio_median") < TINY_UPDATE
        factors = (10.0, 100.0) if tiny else (10.0,)
        return _rates(VerdictCode.LR_TOO_LOW, "the loss stands still unfitted", rate, factors, share=0.12)
    factors, share = ((10.0,), 0.25) if case.short else ((10.0, 100.0), 0.12)
    return _rates(VerdictCode.LR_TOO_LOW, "the training loss still falls slowly", rate, factors, share=share)


def _upwards(ratio: float) -> tuple[float, ...]:
    """Factors on a rate that is too low: the one that brings updates to their usual size, and decades."""
    decades = (10.0, 100.0, 1000.0)
    if not 0 < ratio < USUAL_UPDATE / 2000:
        return decades
    return (10.0 ** round(math.log10(USUAL_UPDATE / ratio)), 1000.0, 100.0)


def _rates(
    code: VerdictCode,
    why: str,
    rate: float,
    factors: tuple[float, ...],
    share: float,
    *,
    strong: bool = False,
) -> Suspicion:
    tries: tuple[Params, ...] = tuple({"learning_rate": rate * factor} for factor in factors)
    return Suspicion(code, why, tries, share=share, strong=strong)
