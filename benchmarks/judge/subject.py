"""A task whose parts a fault can get at: raw samples, a split by seed, scaling by training statistics."""

# N samples, F features

from typing import ClassVar

import torch
from torch import Tensor

from hpsearch.space import Params
from hpsearch.training import Data, Task


class Subject(Task):
    """Written as a user writes a `Task`; faults are planted by subclasses that override one part of it.

    `features` and `outputs` size a model that replaces this one's (a linear one, a deep sigmoid one).
    """

    train_size: ClassVar[int]
    validation_size: ClassVar[int]
    features: ClassVar[int]
    outputs: ClassVar[int]

    def samples(self, seed: int) -> tuple[Tensor, Tensor]:
        """Raw inputs and targets, in any order. A generated set draws a new sample for each seed."""
        raise NotImplementedError

    def scaled(self, inputs: Tensor, train: Tensor) -> Tensor:
        """Inputs standardized by the training inputs' own statistics, feature by feature."""
        std_F = train.std(0)
        return (inputs - train.mean(0)) / torch.where(std_F > 0, std_F, 1.0)

    def scaled_validation(self, inputs: Tensor, train: Tensor) -> Tensor:
        return self.scaled(inputs, train)

    def split(self, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Raw (inputs, targets) of the training and of the validation part."""
        inputs, targets = self.samples(seed)
        order_N = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
        train, end = order_N[: self.train_size], self.train_size + self.validation_size
        validation = order_N[self.train_size : end]
        return (inputs[train], targets[train]), (inputs[validation], targets[validation])

    def data(self, params: Params, seed: int) -> Data:
        (x_NF, y_N), (validation_x_NF, validation_y_N) = self.split(seed)
        return Data(
            train=(self.scaled(x_NF, x_NF), y_N),
            validation=(self.scaled_validation(validation_x_NF, x_NF), validation_y_N),
        )


def globally_scaled(inputs: Tensor, train: Tensor) -> Tensor:
    """One mean and one deviation for all entries: what images and signals want."""
    return (inputs - train.mean()) / train.std()
