"""Metrics by name. Each is a callable (outputs, targets) -> float over a whole split."""

# B samples, K classes

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.errors import TrialError, unknown
from hpsearch.training.losses import paired
from hpsearch.vocabulary import METRICS


@dataclass(frozen=True)
class Metric:
    """A named measure of (outputs, targets) over a whole split."""

    name: str
    measure: Callable[[Tensor, Tensor], float]


def build_metric(metric: str | Callable[[Tensor, Tensor], float]) -> Metric:
    """A metric of the vocabulary, or a task's own function under its own name. Raises TrialError."""
    if isinstance(metric, staticmethod):
        metric = metric.__func__
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, metric)
    if metric not in _MEASURES:
        raise TrialError(unknown("metric", str(metric), METRICS))
    return Metric(metric, _MEASURES[metric])


def own_metric(task: object) -> Metric:
    """The metric of a task. A function in the class body is that function, never a bound method."""
    return build_metric(inspect.getattr_static(task, "metric"))


def predicted(outputs: Tensor) -> Tensor:
    """Class indices, shape (B,): the largest output, or whether the single output is above 0."""
    if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
        return (outputs.flatten() > 0).long()
    return outputs.argmax(1)


def class_indices(targets: Tensor) -> Tensor:
    """Targets as class indices: integers as they are, one-hot rows by their largest entry."""
    if targets.ndim == 2 and targets.shape[1] > 1 and targets.is_floating_point():
        return targets.argmax(1)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    return targets.long()


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of samples whose predicted class is right."""
    right = predicted(outputs) == class_indices(targets)
    # Counting in integers: a float mean of 10,000 ones can miss 1.0.
    return int(right.sum()) / right.numel()


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Mean over the classes present of the share of that class that is recognised."""
    labels = class_indices(targets).flatten().cpu()
    right = (predicted(outputs).flatten().cpu() == labels).double()
    counts = torch.bincount(labels).double()
    hits = torch.zeros_like(counts).index_add_(0, labels, right)
    present = counts > 0
    return float((hits[present] / counts[present]).mean())


def multilabel_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of single yes/no entries that are right; a logit above 0 says yes."""
    outputs, targets = paired(outputs, targets)
    right = (outputs > 0) == (targets > 0.5)
    return int(right.sum()) / right.numel()


def mse(outputs: Tensor, targets: Tensor) -> float:
    outputs, targets = paired(outputs.cpu(), targets.cpu())  # float64 is unknown to MPS
    return float((outputs.double() - targets.double()).square().mean())


def mae(outputs: Tensor, targets: Tensor) -> float:
    outputs, targets = paired(outputs.cpu(), targets.cpu())  # float64 is unknown to MPS
    return float((outputs.double() - targets.double()).abs().mean())


_MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "multilabel_accuracy": multilabel_accuracy,
    "mse": mse,
    "mae": mae,
}
