"""AutoTrainer (Zhang et al., ICSE 2021): five training problems, and inputs that are not normalized."""

import math
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.judge.anchors.sight import Sight, Symptoms
from benchmarks.judge.run import LayerGradients
from hpsearch.vocabulary import VerdictCode as V

VANISHING_RATIO, VANISHING_FIRST = 1e-3, 1e-4
EXPLODING_RATIO = 70.0
DYING = 0.7  # share of zero gradients
SWING, SWINGING = 0.03, 0.2  # an accuracy that moves so far, in so many of the epochs
SLOW_GAIN, SLOW_ACCURACY = 0.01, 0.6
INPUT_MEAN = 10.0


def symptoms(sight: Sight) -> Symptoms:
    found: set[V] = set()
    layers = sight.run.gradients
    if layers:
        found |= _gradients(layers[0], layers[-1])
        if max((layer.zeros[-1] for layer in layers if layer.zeros), default=0.0) >= DYING:
            found.add(V.DEAD)
    if sight.run.metric.endswith("accuracy"):
        found |= _accuracy(sight.run.curves.get(f"train_{sight.run.metric}", ()))
    if any(not math.isfinite(loss) for loss in sight.run.curves.get("loss", ())):
        found |= {V.LR_TOO_HIGH, V.BAD_INIT}
    if abs(float(sight.run.inputs.float().mean())) >= INPUT_MEAN:
        found.add(V.INPUT_SCALE)
    return frozenset(found)


def _gradients(first: LayerGradients, last: LayerGradients) -> set[V]:
    if not (first.norm and last.norm and last.norm[-1] > 0):
        return set()
    ratio = first.norm[-1] / last.norm[-1]
    if ratio < VANISHING_RATIO and first.norm[-1] < VANISHING_FIRST:
        return {V.VANISHING}
    return {V.LR_TOO_HIGH, V.BAD_INIT} if ratio > EXPLODING_RATIO else set()


def _accuracy(values: Sequence[float]) -> set[V]:
    if len(values) < 2:
        return set()
    moves = [after - before for before, after in pairwise(values)]
    falls = sum(move <= -SWING for move in moves)
    found: set[V] = set()
    if falls / len(moves) >= SWINGING:
        found |= {V.LR_TOO_HIGH, V.PLATEAU_DECAY}
    if max(moves) < SLOW_GAIN and values[-1] < SLOW_ACCURACY:
        found |= {V.LR_TOO_LOW, V.TRAIN_LONGER}
    return found
