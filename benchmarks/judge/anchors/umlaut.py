"""UMLAUT (Schoop et al., CHI 2021): heuristics on inputs, hyperparameters and curves."""

from benchmarks.judge.anchors.sight import Sight, Symptoms
from hpsearch.vocabulary import VerdictCode as V

INPUT_LIMIT = 1.0
HIGH_RATE, LOW_RATE = 0.01, 1e-7
TOO_GOOD = 0.95
HIGH_DROPOUT = 0.5
EPOCHS = 2  # in a row in which validation loss rises while training loss falls


def symptoms(sight: Sight) -> Symptoms:
    found: set[V] = set()
    if not bool((sight.run.inputs.abs() <= INPUT_LIMIT).all()):  # NaN is outside too
        found.add(V.INPUT_SCALE)
    if sight.rate() > HIGH_RATE:
        found.add(V.LR_TOO_HIGH)
    if sight.rate() < LOW_RATE:
        found.add(V.LR_TOO_LOW)
    if float(sight.params.get("dropout", 0.0)) > HIGH_DROPOUT:
        found.add(V.OVER_REGULARIZED)
    run = sight.run
    if run.metric.endswith("accuracy") and run.last(f"val_{run.metric}") > TOO_GOOD:
        found |= {V.LABELS, V.VAL_MISMATCH}
    if _overfits(run.curves.get("train_loss", ()), run.curves.get("val_loss", ())):
        found.add(V.OVERFIT)
    return frozenset(found)


def _overfits(train: tuple[float, ...], validation: tuple[float, ...]) -> bool:
    opposed = [
        after < before and later > earlier
        for before, after, earlier, later in zip(train, train[1:], validation, validation[1:], strict=False)
    ]
    return any(all(opposed[i : i + EPOCHS]) for i in range(len(opposed) - EPOCHS + 1))
