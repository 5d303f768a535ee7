"""Losses by name. Each is a callable (outputs, targets) -> scalar, the mean over the batch."""

# B batch, K classes or outputs

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

from hpsearch.errors import TrialError, unknown
from hpsearch.vocabulary import LOSSES

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(name: str, label_smoothing: float = 0.0) -> Loss:
    """The loss `name` of the vocabulary. Label smoothing does not apply to mse and mae.

    mse, mae and binary_cross_entropy take class indices too: as one-hot targets, averaged over outputs.
    """
    match name:
        case "cross_entropy":
            return partial(functional.cross_entropy, label_smoothing=label_smoothing)
        case "multiclass_hinge":
            return partial(multiclass_hinge, label_smoothing=label_smoothing)
        case "binary_cross_entropy":
            return partial(binary_cross_entropy, label_smoothing=label_smoothing)
        case "mse":
            return mse
        case "mae":
            return mae
    raise TrialError(unknown("loss", name, LOSSES))


def multiclass_hinge(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Weston-Watkins: sum over j != y of max(0, 1 - s_y + s_j), mean over the batch.

    With label smoothing s: (1 - s) times this, plus s times its mean over all K possible labels.
    """
    correct_B1 = outputs.gather(1, targets[:, None])
    loss = _weston_watkins(outputs, correct_B1).mean()
    if label_smoothing:
        any_label_BK = _weston_watkins(outputs[:, None, :], outputs[:, :, None])
        loss = (1 - label_smoothing) * loss + label_smoothing * any_label_BK.mean()
    return loss


def _weston_watkins(scores: Tensor, correct: Tensor) -> Tensor:
    # The term j = y is always max(0, 1) = 1: subtract it.
    return (1 - correct + scores).clamp_min(0).sum(-1) - 1


def binary_cross_entropy(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Of logits, mean over batch and outputs; smoothing moves targets towards one half."""
    outputs, targets = paired(outputs, targets)
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(outputs, targets)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error over batch and outputs."""
    return functional.mse_loss(*paired(outputs, targets))


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error over batch and outputs."""
    return functional.l1_loss(*paired(outputs, targets))


def paired(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one shape and dtype: class indices become one-hot, a single output column a vector's shape.

    Raises TrialError where the shapes can't go together.
    """
    if outputs.ndim == 2 and targets.ndim == 1:
        if outputs.shape[1] == 1:
            targets = targets[:, None]
        elif not targets.is_floating_point():
            targets = functional.one_hot(targets, outputs.shape[1])
    if outputs.shape != targets.shape:
        raise TrialError(
            f"the model's outputs of shape {tuple(outputs.shape)} do not go with targets of shape "
            f"{tuple(targets.shape)}"
        )
    return outputs, targets.to(outputs.dtype)
