"""Random search: independent draws, uniform on each axis (on its logarithm where `log`)."""

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np

from hpsearch.records import TrialPlan
from hpsearch.samplers.plans import plans_of
from hpsearch.space import Params, random_points
from hpsearch.spec import StudySpec

# Draws in a row that were all seen before, after which the space counts as exhausted.
PATIENCE = 10_000


def plan(spec: StudySpec) -> Iterator[TrialPlan]:
    """`budget.trials` distinct points, replicates of a point side by side.

    One seed gives one list, and a longer list begins with the shorter one. Fewer points where the space
    holds no more.
    """
    return plans_of(spec, points(spec))


def points(spec: StudySpec) -> Iterator[Params]:
    """The points without their replicates."""
    draws = random_points(spec.space, _ENDLESS, generator(spec.seed))
    return itertools.islice(_distinct(draws), spec.budget.trials or 0)


_ENDLESS = 2**62


def generator(seed: int) -> np.random.Generator:
    """This sampler's own stream of the study's seed."""
    digest = hashlib.sha256(f"{seed}:random".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _distinct(draws: Iterator[Params]) -> Iterator[Params]:
    seen: set[str] = set()  # text, which the garbage collector need not walk
    repeats = 0
    for params in draws:
        key = repr(tuple(params.values()))
        if key not in seen:
            seen.add(key)
            repeats = 0
            yield params
            continue
        repeats += 1
        if repeats == PATIENCE:
            return
