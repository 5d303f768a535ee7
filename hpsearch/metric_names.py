"""What a column of somebody else's log measures, guessed from its name.

Covers what Keras, Lightning, the HF trainer, W&B, TensorBoard, fastai and timm call their columns.
"""

import re
from dataclasses import dataclass
from typing import Literal

Split = Literal["", "train", "val", "test"]
Pace = Literal["", "step", "epoch"]

SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "trn": "train",
    "val": "val", "valid": "val", "validation": "val", "eval": "val", "evaluation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
PACES: dict[str, Pace] = {
    "step": "step", "batch": "step", "minibatch": "step", "iter": "step", "iteration": "step",
    "epoch": "epoch",
}  # fmt: skip
KINDS = {
    "loss": "loss", "nll": "loss", "nll_loss": "loss", "ce_loss": "loss", "cross_entropy": "loss", "xent": "loss",
    "cross_entropy_loss": "loss", "criterion": "loss", "objective": "loss", "losses": "loss",
    "accuracy": "accuracy", "acc": "accuracy", "acc1": "accuracy", "top1": "accuracy", "prec1": "accuracy",
    "acc_1": "accuracy", "top_1": "accuracy", "top1_accuracy": "accuracy", "top_1_accuracy": "accuracy",
    "categorical_accuracy": "accuracy", "sparse_categorical_accuracy": "accuracy", "binary_accuracy": "accuracy",
    "multiclass_accuracy": "accuracy", "accuracy_score": "accuracy",
    "balanced_accuracy": "balanced_accuracy", "balanced_acc": "balanced_accuracy",
    "mse": "mse", "mean_squared_error": "mse", "mae": "mae", "mean_absolute_error": "mae",
    "lr": "learning_rate", "learning_rate": "learning_rate", "learningrate": "learning_rate",
    "grad_norm": "grad_norm", "gradient_norm": "grad_norm", "gnorm": "grad_norm",
    "update_ratio": "update_ratio",
}  # fmt: skip
# Of the whole run: no split is part of their names here.
WHOLE_RUN = ("learning_rate", "grad_norm", "update_ratio")
FILLERS = frozenset({"avg", "mean", "average", "metric", "metrics", "running", "total", "epochs"})
STEP_NAMES = ("step", "steps", "global_step", "trainer_global_step", "iteration", "iter", "iterations", "it", "batch", "update", "n_iter")  # fmt: skip
EPOCH_NAMES = ("epoch", "epochs", "train_epoch", "trainer_epoch")
NOT_METRICS = frozenset({
    "time", "wall_time", "timestamp", "runtime", "relative_time", "seconds", "elapsed", "duration", "eta",
    "train_runtime", "eval_runtime", "created_at", "rank", "seed", "total_flos",
})  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a column measures. `kind` is a metric's name here, or the column's own; `pace` how often, if said."""

    split: Split
    kind: str
    pace: Pace
    known: bool  # the kind is one of ours

    @property
    def name(self) -> str:
        return f"{self.split}_{self.kind}" if self.split else self.kind


def normal(column: str) -> str:
    """Lower case, words joined by `_`: `Train/Loss` -> `train_loss`, `valAcc` -> `val_acc`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def is_step(column: str) -> bool:
    return normal(column) in STEP_NAMES


def is_epoch(column: str) -> bool:
    return normal(column) in EPOCH_NAMES


def meaning(column: str) -> Meaning | None:
    """None for what is no metric: times, counters, W&B's `__MIN` and `__MAX` twins."""
    plain = normal(column)
    if plain in NOT_METRICS or is_step(column) or is_epoch(column) or re.search(r"__(MIN|MAX)$", column):
        return None
    words = plain.split("_")
    split: Split = next((SPLITS[word] for word in words if word in SPLITS), "")
    pace: Pace = next((PACES[word] for word in words if word in PACES), "")
    whole = [word for word in words if word not in SPLITS and word not in PACES]
    rest = [word for word in whole if word not in FILLERS]
    own = "_".join(rest) or plain
    kind = KINDS.get("_".join(whole)) or KINDS.get(own)
    if kind is None and rest and rest[0] in ("lr", "learningrate"):  # Lightning: lr-Adam, lr-SGD/pg1
        kind = "learning_rate"
    if kind is None and own.endswith("_loss"):
        kind = "loss" if own in ("batch_loss", "classification_loss") else None
    found = kind or own
    return Meaning("" if found in WHOLE_RUN else split, found, pace, known=kind is not None)
