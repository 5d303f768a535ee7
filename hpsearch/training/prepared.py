"""A trial ready to be trained or measured: its data on the device, its losses, its chance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from hpsearch.records import Program
from hpsearch.space import Params
from hpsearch.training.batches import Batch, DatasetSamples, Samples, TensorSamples, samples_of
from hpsearch.training.evaluation import Evaluation, evaluate
from hpsearch.training.gradients import arithmetic
from hpsearch.training.initialization import initialize
from hpsearch.training.losses import Loss
from hpsearch.training.metrics import Metric, own_metric
from hpsearch.training.preprocessing import fit_preprocessing
from hpsearch.training.seeds import Seeds, seed_globals
from hpsearch.training.splits import stratified
from hpsearch.training.task import Task

TRAIN_EVALUATION = 10_000  # training samples that train_<metric> is measured on, at most
STATISTICS = 2_048  # samples of a Dataset that preprocessing and label counts are taken from


@dataclass(frozen=True)
class Prepared:
    """`loss` trains; `evaluation_loss` is the same without label smoothing, so that trials compare."""

    task: Task
    params: Params
    seeds: Seeds
    device: str
    train: Samples
    validation: Samples
    test: Samples | None
    batch_size: int
    loss: Loss
    evaluation_loss: Loss
    metric: Metric

    @property
    def steps_per_epoch(self) -> int:
        return self.train.count // self.batch_size

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """What each evaluation reports."""
        return tuple(f"{split}_{what}" for split in ("train", "val") for what in ("loss", self.metric.name))

    def new_model(self, purpose: str = "init") -> nn.Module:
        """A model on the device with initial weights drawn for this purpose."""
        seed_globals(self.seeds.derive(purpose))
        model = self.task.model(self.params)
        initialize(model, self.params)
        if self.params["channels_last"]:
            # Convolutions follow their weights' layout; inputs may stay as they are.
            model = model.to(memory_format=torch.channels_last)
        return model.to(self.device)

    def evaluate(self, model: nn.Module, samples: Samples, indices: Tensor) -> Evaluation:
        """Evaluation loss and metric over the samples at `indices`, in the trial's precision."""
        with arithmetic(str(self.params["precision"]), self.device):
            return evaluate(model, samples, indices, self.evaluation_loss, self.metric, self.batch_size)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The minibatches of epoch `number` from the `first`-th on; a partial last batch is dropped."""
        size = self.batch_size
        order = self.order(number)[first * size : self.steps_per_epoch * size]
        batches = self.train.batches(order, size)
        if not self.task.augments:
            return batches
        return self._augmented(batches, number * self.steps_per_epoch + first)

    def order(self, epoch: int) -> Tensor:
        """The data order of one epoch. It needs no state: epoch and seed say it all."""
        if not self.params["shuffle"]:
            return torch.arange(self.train.count)
        return torch.randperm(self.train.count, generator=self.seeds.generator(f"order/{epoch}"))

    def _augmented(self, batches: Iterator[Batch], step: int) -> Iterator[Batch]:
        for number, (inputs, targets) in enumerate(batches, start=step):
            yield self.task.augment(inputs, self.seeds.generator(f"augment/{number}")), targets

    @cached_property
    def evaluation_indices(self) -> Tensor:
        """The training samples that training metrics are measured on, fixed for the replicate."""
        return self.sample_indices(TRAIN_EVALUATION, "train_evaluation")

    def sample_indices(self, count: int, purpose: str) -> Tensor:
        """Up to `count` training samples, sorted, fixed for the replicate."""
        return _some(self.train, count, self.seeds, purpose)

    def some_targets(self) -> Tensor:
        """Training targets for counting: all that are in memory, else a fixed sample."""
        if isinstance(self.train, TensorSamples):
            return self.train.targets
        return self.train.take(self.sample_indices(STATISTICS, "statistics"))[1]

    def classes(self) -> float:
        """How many classes the training labels have; NaN where targets are no classes."""
        labels = class_labels(self.some_targets(), self.metric.name)
        return math.nan if labels is None else float(max(int(labels.max()) + 1, 2))


def class_labels(targets: Tensor, metric: str) -> Tensor | None:
    """Targets as one class index per sample, or None where they are none (regression, several labels)."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        return None
    if not targets.is_floating_point():
        return targets
    return targets.long() if metric in ("accuracy", "balanced_accuracy") else None


def prepare(task: Task, params: Params, program: Program, seeds: Seeds, device: str) -> Prepared:
    """Data, losses and metric of one trial. Raises TrialError for what the task got wrong."""
    data = task.data(params, seeds.derive("data"))
    train = samples_of(data.train, "training", device)
    validation = samples_of(data.validation, "validation", device)
    test = None if data.test is None else samples_of(data.test, "test", device)
    train = _fraction(train, float(params["train_fraction"]), seeds)
    train, validation, test = _preprocessed(str(params["preprocessing"]), seeds, train, validation, test)
    batch_size = min(int(params["batch_size"]), train.count)
    if program.subset_batches is not None:
        train = _subset(train, program.subset_batches * batch_size, seeds)
    return Prepared(
        task=task,
        params=params,
        seeds=seeds,
        device=device,
        train=train,
        validation=validation,
        test=test,
        batch_size=batch_size,
        loss=_on(task.loss(params), device),
        evaluation_loss=_on(task.loss({**params, "label_smoothing": 0.0}), device),
        metric=own_metric(task),
    )


def _on(loss: Loss, device: str) -> Loss:
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def _preprocessed(
    name: str, seeds: Seeds, train: Samples, validation: Samples, test: Samples | None
) -> tuple[Samples, Samples, Samples | None]:
    """All splits, scaled by statistics of the training split."""
    if name == "none":
        return train, validation, test
    if isinstance(train, TensorSamples):
        inputs = train.inputs
    else:
        inputs, _ = train.take(_some(train, STATISTICS, seeds, "statistics"))
    preprocessing = fit_preprocessing(name, inputs)
    if preprocessing is None:
        return train, validation, test

    def scaled(samples: Samples) -> Samples:
        if isinstance(samples, TensorSamples):
            return TensorSamples(preprocessing(samples.inputs), samples.targets)
        assert isinstance(samples, DatasetSamples)
        return DatasetSamples(samples.dataset, samples.device, preprocessing)

    return scaled(train), scaled(validation), None if test is None else scaled(test)


def _fraction(train: Samples, fraction: float, seeds: Seeds) -> Samples:
    """A share of the training set, at least one sample: class-stratified in memory, else drawn at random."""
    count = max(1, round(fraction * train.count))
    if count == train.count:
        return train
    if isinstance(train, TensorSamples):
        return _subset(train, count, seeds, "train_fraction")
    assert isinstance(train, DatasetSamples)
    chosen = _some(train, count, seeds, "train_fraction").tolist()
    return DatasetSamples(Subset(train.dataset, chosen), train.device, train.preprocessing)


def _subset(train: Samples, count: int, seeds: Seeds, purpose: str = "subset") -> TensorSamples:
    """A fixed, class-stratified part of the training set, in memory."""
    count = min(count, train.count)
    # A Dataset says its labels only by being read: choose among four times as many as are wanted.
    candidates = (
        torch.arange(train.count)
        if isinstance(train, TensorSamples)
        else _some(train, 4 * count, seeds, "subset_candidates")
    )
    inputs, targets = train.take(candidates)
    labels = targets[:, 0].long() if targets.ndim == 2 and targets.shape[1] == 1 else targets
    chosen, _ = stratified(labels.cpu().numpy(), count, seeds.derive(purpose))
    index = torch.from_numpy(chosen).to(targets.device)
    return TensorSamples(inputs.index_select(0, index), targets.index_select(0, index))


def _some(samples: Samples, count: int, seeds: Seeds, purpose: str) -> Tensor:
    if samples.count <= count:
        return torch.arange(samples.count)
    chosen = torch.randperm(samples.count, generator=seeds.generator(purpose))[:count]
    return chosen.sort().values
