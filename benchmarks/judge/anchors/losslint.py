"""losslint 0.4.1: rules on a loss log alone."""

import math
import statistics
from itertools import pairwise

from benchmarks.judge.anchors.sight import Sight, Symptoms
from hpsearch.vocabulary import VerdictCode as V

DIVERGENCE = 1.25  # last loss over its lowest
STAGNATION = 0.01  # relative gain in the last quarter
WORSENING = 3  # validation losses in a row
SPIKE = 10.0  # times the median


def symptoms(sight: Sight) -> Symptoms:
    loss, curves = sight.run.curves.get("loss", ()), sight.run.curves
    found: set[V] = set()
    if any(not math.isfinite(value) for value in loss):
        return frozenset({V.LR_TOO_HIGH})
    train, validation = curves.get("train_loss", ()), curves.get("val_loss", ())
    if train and min(train) > 0 and train[-1] > DIVERGENCE * min(train):
        found.add(V.LR_TOO_HIGH)
    if loss and max(loss) > SPIKE * statistics.median(loss):
        found.add(V.LR_TOO_HIGH)
    quarter = len(train) // 4
    if quarter and train[-quarter - 1] - train[-1] < STAGNATION * abs(train[-quarter - 1]):
        found |= {V.PLATEAU_DECAY, V.UNDERFIT}
    rises = [after > before for before, after in pairwise(validation)]
    if len(rises) >= WORSENING and all(rises[-WORSENING:]):
        found.add(V.OVERFIT)
    return frozenset(found)
