"""BTTackler (KDD 2024): indicators of bad trials in hyperparameter search."""

import statistics
from itertools import pairwise

from benchmarks.judge.anchors.sight import Sight, Symptoms
from hpsearch.vocabulary import VerdictCode as V

EXPLODING, VANISHING = 1e4, 1e-5  # median magnitude of a layer's gradient
RATIO_HIGH, RATIO_LOW = 1e3, 1e-4  # between neighbouring layers
ZEROS = 0.5
PASSIVE = 1e-4  # coefficient of variation of the loss
UNSTABLE = 0.2  # the same, late, with a loss that rises
WINDOW = 6


def symptoms(sight: Sight) -> Symptoms:
    found: set[V] = set()
    medians = [layer.median[-1] for layer in sight.run.gradients if layer.median]
    if any(not median <= EXPLODING for median in medians):  # NaN too
        found |= {V.LR_TOO_HIGH, V.BAD_INIT}
    if any(median < VANISHING for median in medians):
        found |= {V.VANISHING}
    if any(layer.zeros[-1] > ZEROS for layer in sight.run.gradients if layer.zeros):
        found.add(V.DEAD)
    means = [layer.mean[-1] for layer in sight.run.gradients if layer.mean]
    for before, after in pairwise(means):
        ratio = before / after if after > 0 else 1.0
        found |= {V.LR_TOO_HIGH, V.BAD_INIT} if ratio > RATIO_HIGH else set()
        found |= {V.VANISHING} if ratio < RATIO_LOW else set()
    return frozenset(found | _loss(sight.run.curves.get("train_loss", ())))


def _loss(values: tuple[float, ...]) -> set[V]:
    if len(values) < WINDOW:
        return set()
    late = values[-WINDOW:]
    mean = statistics.fmean(late)
    if not abs(mean) < float("inf") or mean == 0:
        return {V.LR_TOO_HIGH}
    variation = statistics.stdev(late) / abs(mean)
    if variation < PASSIVE:
        return {V.LR_TOO_LOW, V.UNDERFIT}
    return {V.LR_TOO_HIGH} if variation > UNSTABLE and late[-1] > late[0] else set()
