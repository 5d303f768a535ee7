"""What targets are: classes, yes/no answers, or values."""

from torch import Tensor


def are_labels(targets: Tensor) -> bool:
    """Classes or yes/no answers rather than the values of a regression."""
    return not targets.is_floating_point() or bool(((targets == 0) | (targets == 1)).all())


def class_labels(targets: Tensor, metric: str) -> Tensor | None:
    """Targets as one class index per sample, or None where they are none (regression, several labels)."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        return None
    if not targets.is_floating_point():
        return targets
    return targets.long() if metric in ("accuracy", "balanced_accuracy") else None
