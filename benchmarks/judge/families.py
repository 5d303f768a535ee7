"""Kinds of fault and the verdicts that a fair expert would accept for each.

The first nineteen are recipe.md's table (section 4), the rest its list of what to add. A verdict is accepted
where its usual remedy takes the fault away, or where it names the mechanism itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hpsearch.vocabulary import VerdictCode as V


@dataclass(frozen=True)
class Family:
    """`why` gives the reason for an accept-set that the recipe's table does not fix."""

    accept: frozenset[V]
    why: str = ""


def _family(*accept: V, why: str = "") -> Family:
    return Family(frozenset(accept), why)


FAMILIES: Mapping[str, Family] = {
    "init_large": _family(V.BAD_INIT),
    "init_small": _family(V.BAD_INIT, V.VANISHING),
    "lr_high": _family(V.LR_TOO_HIGH),
    "lr_very_low": _family(V.LR_TOO_LOW),
    "lr_low": _family(V.LR_TOO_LOW, V.TRAIN_LONGER),
    "dead_units": _family(V.DEAD, V.BAD_INIT),
    "deep_sigmoid": _family(V.VANISHING, V.BAD_INIT),
    "input_scale": _family(V.INPUT_SCALE),
    "shuffled_labels": _family(V.LABELS, V.OVERFIT),
    "small_model": _family(V.UNDERFIT),
    "few_samples": _family(V.OVERFIT),
    "heavy_decay": _family(V.OVER_REGULARIZED, V.UNDERFIT),
    "heavy_dropout": _family(V.OVER_REGULARIZED, V.UNDERFIT),
    "early_decay": _family(V.DECAY_TOO_EARLY),
    "plateau": _family(V.PLATEAU_DECAY, V.LR_TOO_HIGH),
    "double_softmax": _family(V.LOSS_BUG),
    "sum_reduction": _family(V.LOSS_BUG),
    "sign_flip": _family(V.LOSS_BUG),
    "raw_validation": _family(V.VAL_MISMATCH),
    "few_epochs": _family(V.TRAIN_LONGER, V.LR_TOO_LOW, why="a larger rate gets there in the same epochs"),
    "high_momentum": _family(
        V.LR_TOO_HIGH,
        V.PLATEAU_DECAY,
        why="momentum m multiplies the rate by 1 / (1 - m); a lower or decayed rate takes the swings away",
    ),
    "tiny_batch": _family(
        V.LR_TOO_HIGH,
        V.PLATEAU_DECAY,
        V.NOISY_EVAL,
        why="the noise of an update grows with rate / batch: lower the rate, decay it, or enlarge the batch",
    ),
    "sorted_data": _family(
        V.LR_TOO_HIGH,
        V.PLATEAU_DECAY,
        V.NOISY_EVAL,
        V.LOSS_BUG,
        why="no verdict names the data order; a lower rate forgets less within an epoch, validation swings "
        "with the class that came last, and the loss of minibatches is not that of the training set",
    ),
    "train_mode_evaluation": _family(
        V.NOISY_EVAL,
        V.OVER_REGULARIZED,
        V.VAL_MISMATCH,
        V.UNDERFIT,
        why="evaluation is random, or not what is trained; to a run's log it is dropout that is too strong",
    ),
    "label_noise": _family(V.LABELS, V.OVERFIT, why="wrong training labels are learned by heart"),
    "class_numbers": _family(
        V.LABELS, V.VAL_MISMATCH, why="validation labels do not mean what training labels mean"
    ),
    "raw_targets": _family(
        V.INPUT_SCALE,
        V.LR_TOO_HIGH,
        V.BAD_INIT,
        V.UNDERFIT,
        why="scale the targets, start the output bias at their mean, or lower the rate that diverges on them",
    ),
    "scaled_loss": _family(V.LR_TOO_LOW, V.LOSS_BUG, why="with SGD the factor is one on the rate"),
    "frozen_layers": _family(
        V.UNDERFIT, V.VANISHING, V.BAD_INIT, why="a shrunk signal and layers that can't fit anything"
    ),
    "heavy_l1": _family(V.OVER_REGULARIZED, V.UNDERFIT, why="as weight decay"),
    "hard_clipping": _family(
        V.LR_TOO_LOW, V.TRAIN_LONGER, why="every update is shortened to the same tiny length"
    ),
    "long_warmup": _family(V.LR_TOO_LOW, V.TRAIN_LONGER, why="the run ends before its rate is reached"),
}
TWO_FAULTS = "two_faults"  # either of the two is right
