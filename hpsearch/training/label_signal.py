"""How much the labels follow the inputs, by nearest neighbours alone: no model, no training.

Shuffled training labels look like an overfit model in every curve; the data themselves tell them apart.
"""

# N samples, F features, T target entries (one-hot classes, labels, or values)

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.training.prepared import Prepared
from hpsearch.training.targets import class_labels

SAMPLES = 512  # in one comparison
FEATURES = 2_048
CHUNKS = 4  # training samples are looked at in so many parts, each as large as the validation part
NEIGHBOURS = 5
FEW_SAMPLES = 100


def label_signal(prepared: Prepared) -> dict[str, float]:
    """Correlations between targets and the mean target of their five nearest neighbours, in [-1, 1].

    `train_signal`: among training samples. `val_signal`: among validation samples, in equally large sets, so
    that the two compare; of fewer than 100 training samples, too few to speak of each other, both are by
    validation neighbours. `cross_signal`: validation targets by training neighbours; of so few, as
    `train_signal`. `label_order`: correlation of each training target with the next one in the data's order.
    `cross_distance`: median
    distance of a validation input to the nearest training input, over that to its nearest fellow: below 1
    where training samples are as close and more. Correlations are 0 where the inputs' distances
    say nothing; NaN with fewer than 20 samples. `signal_size`: training samples looked at.
    """
    count = min(SAMPLES, prepared.validation.count, prepared.train.count)
    few = prepared.train.count < FEW_SAMPLES
    wanted = prepared.sample_indices(CHUNKS * count, "label_signal")
    shuffled = wanted[torch.randperm(len(wanted), generator=prepared.seeds.generator("label_signal_chunks"))]
    train_NF, train_NT = _rows(prepared, prepared.train.take(shuffled))
    # A validation set may be sorted: spread the chosen samples over it.
    asked = min(SAMPLES, prepared.validation.count) if few else count
    spread = torch.linspace(0, prepared.validation.count - 1, asked).round().long()
    val_NF, val_NT = _rows(prepared, prepared.validation.take(spread))
    val_NT = functional.pad(val_NT, (0, max(0, train_NT.shape[1] - val_NT.shape[1])))[:, : train_NT.shape[1]]
    if few:
        among = _signal(val_NF, val_NT, train_NF, train_NT, leave_out=False)
    else:
        among = _mean_signal(torch.split(train_NF, count), torch.split(train_NT, count))
    some = torch.linspace(0, len(val_NF) - 1, count).round().long()  # as many as training samples
    return {
        "cross_distance": _distance(train_NF, val_NF[some]),
        "train_signal": among,
        "val_signal": _signal(val_NF, val_NT, val_NF, val_NT, leave_out=True),
        "cross_signal": among if few else _signal(train_NF, train_NT, val_NF, val_NT, leave_out=False),
        "label_order": _order(prepared),
        "signal_size": float(count),
    }


def _rows(prepared: Prepared, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Inputs as rows of at most FEATURES numbers, each of unit variance; targets as rows of numbers."""
    inputs, targets = (part.cpu() for part in batch)
    rows_NF = inputs.flatten(1) if inputs.ndim > 1 else inputs[:, None]
    if rows_NF.shape[1] > FEATURES:
        rows_NF = rows_NF[:, torch.linspace(0, rows_NF.shape[1] - 1, FEATURES).long()]
    if not rows_NF.is_floating_point():  # token ids: equal or not
        kinds = int(rows_NF.max()) + 1
        rows_NF = functional.one_hot(rows_NF, kinds).flatten(1) if kinds <= 64 else rows_NF
    rows_NF = rows_NF.float().nan_to_num(0, 0, 0)
    std_F = rows_NF.std(0, correction=0)
    rows_NF = (rows_NF - rows_NF.mean(0)) / torch.where(std_F > 0, std_F, torch.ones_like(std_F))
    return rows_NF, _target_rows(targets, prepared.metric.name)


def _target_rows(targets: Tensor, metric: str) -> Tensor:
    labels = class_labels(targets, metric)
    if labels is not None:
        return functional.one_hot(labels.long().clamp_min(0)).double()
    return targets.reshape(len(targets), -1).double()


def _signal(
    known: Tensor, known_targets: Tensor, asked: Tensor, targets: Tensor, *, leave_out: bool
) -> float:
    if len(known) < 20 or len(asked) < 20:
        return math.nan
    distances = torch.cdist(asked, known)
    if leave_out:
        distances.fill_diagonal_(math.inf)
    nearest = distances.topk(NEIGHBOURS, largest=False).indices
    return _correlation(known_targets[nearest].mean(1), targets)


def _mean_signal(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Over equally large sets: fewer samples have farther neighbours, so the rest of a split is left out."""
    whole = [(x, t) for x, t in zip(inputs, targets, strict=True) if len(x) == len(inputs[0])]
    found = [_signal(x, t, x, t, leave_out=True) for x, t in whole]
    told = [signal for signal in found if not math.isnan(signal)]
    return sum(told) / len(told) if told else math.nan


def _distance(train_NF: Tensor, val_NF: Tensor) -> float:
    if len(val_NF) < 20:
        return math.nan
    within = torch.cdist(val_NF, val_NF).fill_diagonal_(math.inf).min(1).values.median()
    across = torch.cdist(val_NF, train_NF).min(1).values.median()
    return float(across / within) if within > 0 else math.nan


def _correlation(left_NT: Tensor, right_NT: Tensor) -> float:
    """Pearson's, over all entries, each column's mean removed."""
    left, right = left_NT - left_NT.mean(0), right_NT - right_NT.mean(0)
    scale = float(left.norm() * right.norm())
    return float((left * right).sum()) / scale if scale > 0 else 0.0


def _order(prepared: Prepared) -> float:
    targets = prepared.some_targets().cpu()
    rows = _target_rows(targets, prepared.metric.name)
    return _correlation(rows[:-1], rows[1:]) if len(rows) > 1 else 0.0
