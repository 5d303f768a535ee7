"""Points around a point: the boxes of steps 4 and 5, as a grid or as log-uniform draws in the same box."""

import math
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from hpsearch.recipe.history import History
from hpsearch.recipe.ranking import key_of
from hpsearch.records import digest_of
from hpsearch.space import Params

ZERO_SHARE = 0.25  # of random points that get weight decay 0 where 0 is in the box (recipe.md, step 4)
ZERO_REFINED = (0.0, 1e-6, 1e-5)  # 0 x 10**0.5 would give duplicates (recipe.md, rules that bind)


def around(value: float, decades: float) -> list[float]:
    """value x {10**-d, 1, 10**d}; zero has its own neighbours."""
    if value == 0:
        return list(ZERO_REFINED)
    return [value * 10**-decades, value, value * 10**decades]


def cross(history: History, base: Params, rates: Sequence[float], decays: Sequence[float]) -> list[Params]:
    """Every pair of a learning rate and a weight decay inside the bounds, on top of `base`.

    In a random search the same number of log-uniform points in the box that the pairs span.
    """
    rates = history.inside("learning_rate", rates)
    decays = history.inside("weight_decay", decays)
    if history.spec.recipe.search == "random" and len(rates) * len(decays) > 1:
        pairs: Iterable[tuple[float, float]] = _drawn(history, rates, decays)
    else:
        pairs = product(rates, decays)
    return [history.point(**{**base, "learning_rate": rate, "weight_decay": decay}) for rate, decay in pairs]


def _drawn(history: History, rates: Sequence[float], decays: Sequence[float]) -> list[tuple[float, float]]:
    """Scrambled Sobol points, seeded by the study and the box: the same question gives the same points."""
    from scipy.stats import qmc  # noqa: PLC0415 - see plan.load

    count = len(rates) * len(decays)
    seed = int(digest_of([history.spec.seed, list(rates), list(decays)])[:15], 16)
    unit = qmc.Sobol(d=3, rng=np.random.default_rng(seed)).random_base2(max(1, math.ceil(math.log2(count))))
    positive = [d for d in decays if d > 0]
    pairs = []
    for u_rate, u_decay, u_zero in unit[:count].tolist():
        rate = _between(rates, u_rate)
        zero = not positive or (0.0 in decays and u_zero < ZERO_SHARE)
        pairs.append((rate, 0.0 if zero else _between(positive, u_decay)))
    return pairs


def _between(values: Sequence[float], fraction: float) -> float:
    low, high = math.log(min(values)), math.log(max(values))
    return math.exp(low + fraction * (high - low))


def distinct(points: Iterable[Params]) -> list[Params]:
    """The points without repeats, in order."""
    return list({key_of(point): point for point in points}.values())
