"""What is trained: data, model, loss, metric. A user subclasses `Task`; the named tasks are written on it too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from hpsearch.space import Params
from hpsearch.training.losses import Loss, build_loss
from hpsearch.training.pretrained import Pretrained
from hpsearch.vocabulary import OWN_TASK_DEFAULTS

Split = tuple[Tensor, Tensor] | Dataset[Any]


@dataclass(frozen=True)
class Data:
    """The splits of a task, each either (inputs, targets) tensors whose first dimension is the sample, or a
    torch Dataset of such pairs. `test` is opened once, by the study's last stage.
    """

    train: Split
    validation: Split
    test: Split | None = None


class Task:
    """Subclass it, beside the study file, and override what differs. `params` holds every hyperparameter.

    `knobs`: hyperparameters only this task understands, `{name: {low, high, log, type, choices, default}}`;
    written out, since a server reads them without running the file. `metric`: accuracy, balanced_accuracy,
    multilabel_accuracy, mse, mae, or a function (outputs, targets) -> float, reported as `val_<its name>`.
    `defaults`: hyperparameters whose default differs for this task; a user's own data and weights are left
    as they are unless a study asks for preprocessing or an initialization by name.
    """

    knobs: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    metric: ClassVar[str | Callable[..., float]] = "accuracy"
    defaults: ClassVar[Params] = dict(OWN_TASK_DEFAULTS)

    def data(self, params: Params, seed: int) -> Data:
        """The data sets. `seed` is the replicate's: split with it and with nothing else."""
        raise NotImplementedError(f"{type(self).__name__} needs a method data(self, params, seed)")

    def model(self, params: Params) -> nn.Module:
        """A new model on the CPU. The global generators are seeded with the replicate's seed before."""
        raise NotImplementedError(f"{type(self).__name__} needs a method model(self, params)")

    def pretrained(self, params: Params) -> Pretrained | None:
        """Weights to begin from: `Pretrained("a name for errors", state_dict)`. They are copied over the drawn
        ones, except a head for other classes.
        """
        return None

    def loss(self, params: Params) -> Loss:
        """The training loss; evaluation uses the one for `label_smoothing` 0."""
        return build_loss(str(params["loss"]), float(params["label_smoothing"]))

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A training batch, changed per sample. `generator` (CPU) is new for each step."""
        return x

    def perfect_outputs(self, targets: Tensor) -> Tensor | None:
        """Outputs that meet the targets, for the loss's floor; None: let it be guessed."""
        return None

    @property
    def augments(self) -> bool:
        return type(self).augment is not Task.augment
