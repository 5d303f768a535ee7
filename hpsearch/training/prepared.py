"""A trial ready to be trained or measured: its data on the device, its losses, its chance."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from hpsearch.records import Program
from hpsearch.space import Params
from hpsearch.training.augmentation.mixing import MixedLoss, Mixing, Targets, build_mixing
from hpsearch.training.augmentation.pipeline import Augmentation, build_augmentation
from hpsearch.training.augmentation.views import AveragedModel, Views, build_views
from hpsearch.training.batches import Batch, DatasetSamples, Samples, TensorSamples, samples_of
from hpsearch.training.counterfactual import enlarged, without_dropout
from hpsearch.training.evaluation import Evaluation, evaluate
from hpsearch.training.gradients import arithmetic
from hpsearch.training.initialization import initialize
from hpsearch.training.layer_groups import freeze
from hpsearch.training.loading import Loading
from hpsearch.training.losses import Loss
from hpsearch.training.metrics import Metric, multilabel_accuracy, own_metric
from hpsearch.training.output_bias import set_output_bias
from hpsearch.training.preprocessing import Preprocessing, fit_preprocessing
from hpsearch.training.pretrained import Pretrained
from hpsearch.training.seeds import Seeds, seed_globals
from hpsearch.training.subsets import fraction_of, some_of, subset_of
from hpsearch.training.target_scaling import Rescaled, StandardizedLoss, TargetScale, fit_target_scale
from hpsearch.training.targets import class_labels
from hpsearch.training.task import Task
from hpsearch.vocabulary import HYPERPARAMETERS, IMAGE_KNOBS, MIXING_KNOBS, is_on

logger = logging.getLogger(__name__)
TrainingBatch = tuple[Tensor, Targets]
TRAIN_EVALUATION = 10_000  # training samples that train_<metric> is measured on, at most
UNIT_SAMPLES = 256  # a unit that is 0 for all of them counts as dead
STATISTICS = 2_048  # samples of a Dataset that preprocessing and label counts are taken from


@dataclass(frozen=True)
class Prepared:
    """`loss` trains; `evaluation_loss` is the same without label smoothing, so that trials compare. `named` are
    `params` as the vocabulary means them: one that the task declares itself is at its default there.
    """

    task: Task
    params: Params
    named: Params
    seeds: Seeds
    device: str
    train: Samples
    validation: Samples
    test: Samples | None
    batch_size: int
    loss: MixedLoss
    evaluation_loss: Loss
    metric: Metric
    augmentation: Augmentation | None = None
    mixing: Mixing | None = None
    views: Views | None = None
    pretrained: Pretrained | None = None

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
        model = self._initialized(purpose)
        extra = int(self.named["extra_capacity"])
        if extra:
            inputs, _ = self.train.take(torch.arange(min(2, self.train.count)))
            copies = [self._initialized("copy") for _ in range(extra - 1)]
            model = enlarged(model, copies, inputs.cpu())
        if self.target_scale is not None:
            model = Rescaled(model, self.target_scale)
        if self.params["channels_last"]:
            # Convolutions follow their weights' layout; inputs may stay as they are.
            model = model.to(memory_format=torch.channels_last)
        return model.to(self.device)

    def _initialized(self, purpose: str) -> nn.Module:
        model = self.task.model(self.params)
        initialize(model, self.params)
        if self.pretrained is not None:
            said = self.pretrained.fit(model)
            if said is not None and purpose == "init":
                logger.warning("%s", said)
        freeze(model, int(self.named["freeze_layers"]))
        if self.named["output_bias"] == "prior":
            inputs, targets = self.train.take(self.sample_indices(STATISTICS, "statistics"))
            if self.target_scale is not None:
                targets = self.target_scale.standardized(targets)
            set_output_bias(model, inputs.cpu(), targets.cpu(), self.evaluation_loss)
        return model if self.named["model_dropout"] else without_dropout(model)

    @cached_property
    def target_scale(self) -> TargetScale | None:
        """Of the training targets, where they are standardized. Raises TrialError for classes."""
        return None if self.named["target_scaling"] == "none" else fit_target_scale(self.some_targets())

    @cached_property
    def followed_loss(self) -> MixedLoss:
        """The loss whose gradient training follows; its values are those of `loss`."""
        scale = self.target_scale
        return self.loss if scale is None else MixedLoss(StandardizedLoss(self.loss.loss, scale))

    def predictor(self, model: nn.Module) -> nn.Module:
        """What is validated and tested: the model, its outputs averaged over the views of `test_time`.

        Of logits that cross-entropy trains, probabilities are averaged (Krizhevsky et al. 2012), else outputs.
        """
        if self.views is None:
            return model
        own_loss = type(self.task).loss is not Task.loss
        logits = self.params["loss"] == "cross_entropy" and not own_loss
        return AveragedModel(model, self.views, probabilities=logits)

    def evaluate(self, model: nn.Module, samples: Samples, indices: Tensor) -> Evaluation:
        """Evaluation loss and metric over the samples at `indices`, in the trial's precision.

        Training samples are seen once and whole, whatever `test_time` says.
        """
        predictor = model if samples is self.train else self.predictor(model)
        with arithmetic(str(self.params["precision"]), self.device):
            return evaluate(predictor, samples, indices, self.evaluation_loss, self.metric, self.batch_size)

    def epoch(self, number: int, first: int = 0) -> Iterator[TrainingBatch]:
        """The minibatches of epoch `number` from the `first`-th on; a partial last batch is dropped."""
        size = self.batch_size
        order = self.order(number)[first * size : self.steps_per_epoch * size]
        batches = self.train.batches(order, size, f"epoch/{number}", first)
        if not self.task.augments and self.augmentation is None and self.mixing is None:
            return batches
        return self._augmented(batches, number * self.steps_per_epoch + first)

    def order(self, epoch: int) -> Tensor:
        """The data order of one epoch. It needs no state: epoch and seed say it all."""
        if not self.params["shuffle"]:
            return torch.arange(self.train.count)
        return torch.randperm(self.train.count, generator=self.seeds.generator(f"order/{epoch}"))

    def _augmented(self, batches: Iterator[Batch], step: int) -> Iterator[TrainingBatch]:
        """Named augmentations, then the task's own, then mixing: all of a step from one generator."""
        for number, (inputs, targets) in enumerate(batches, start=step):
            generator = self.seeds.generator(f"augment/{number}")
            if self.augmentation is not None:
                inputs = self.augmentation(inputs, generator)  # noqa: PLW2901
            if self.task.augments:
                inputs = self.task.augment(inputs, generator)  # noqa: PLW2901
            yield (inputs, targets) if self.mixing is None else self.mixing(inputs, targets, generator)

    def close(self) -> None:
        """End what reads the data."""
        for samples in (self.train, self.validation, self.test):
            if isinstance(samples, DatasetSamples):
                samples.loader.close()

    @cached_property
    def evaluation_indices(self) -> Tensor:
        """The training samples that training metrics are measured on, fixed for the replicate."""
        return self.sample_indices(TRAIN_EVALUATION, "train_evaluation")

    @cached_property
    def unit_indices(self) -> Tensor:
        """The training samples that dead and saturated units are looked for with."""
        return self.sample_indices(UNIT_SAMPLES, "units")

    def sample_indices(self, count: int, purpose: str) -> Tensor:
        """Up to `count` training samples, sorted, fixed for the replicate."""
        return some_of(self.train, count, self.seeds, purpose)

    def some_targets(self) -> Tensor:
        """Training targets for counting: all that are in memory, else a fixed sample."""
        if isinstance(self.train, TensorSamples):
            return self.train.targets
        return self.train.take(self.sample_indices(STATISTICS, "statistics"))[1]

    def validation_answers(self) -> float:
        """How many answers the validation metric averages: one a sample, or one a label where there are several."""
        several = self.metric.measure is multilabel_accuracy
        return float(self.validation.count * (self.some_targets()[0].numel() if several else 1))

    def classes(self) -> float:
        """How many classes the training labels have; NaN where targets are no classes."""
        labels = class_labels(self.some_targets(), self.metric.name)
        return math.nan if labels is None else float(max(int(labels.max()) + 1, 2))


def prepare(task: Task, params: Params, program: Program, seeds: Seeds, device: str) -> Prepared:
    """Data, losses and metric of one trial. Raises TrialError for what the task got wrong."""
    named = _named(params, task)
    data = task.data(params, seeds.derive("data"))
    loading = Loading(seeds, int(named["num_workers"]), int(named["prefetch_factor"]))
    train = samples_of(data.train, "training", device, loading)
    validation = samples_of(data.validation, "validation", device, loading)
    test = None if data.test is None else samples_of(data.test, "test", device, loading)
    train = fraction_of(train, float(params["train_fraction"]), seeds)
    preprocessing = _preprocessing(str(params["preprocessing"]), seeds, train)
    train, validation, test = _preprocessed(preprocessing, train, validation, test)
    batch_size = min(int(params["batch_size"]), train.count)
    if program.subset_batches is not None:
        train = subset_of(train, program.subset_batches * batch_size, seeds)
    metric = own_metric(task)
    return Prepared(
        task=task,
        params=params,
        named=named,
        seeds=seeds,
        device=device,
        train=train,
        validation=validation,
        test=test,
        batch_size=batch_size,
        loss=MixedLoss(_on(task.loss(params), device)),
        evaluation_loss=_on(task.loss({**params, "label_smoothing": 0.0}), device),
        metric=metric,
        augmentation=_augmentation(named, train, preprocessing, seeds),
        mixing=_mixing(named, train, metric, seeds),
        views=build_views(named),
        pretrained=task.pretrained(params),
    )


def _on(loss: Loss, device: str) -> Loss:
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def _preprocessing(name: str, seeds: Seeds, train: Samples) -> Preprocessing | None:
    """By statistics of the training split."""
    if name == "none":
        return None
    if isinstance(train, TensorSamples):
        return fit_preprocessing(name, train.inputs)
    return fit_preprocessing(name, train.take(some_of(train, STATISTICS, seeds, "statistics"))[0])


def _preprocessed(
    preprocessing: Preprocessing | None, train: Samples, validation: Samples, test: Samples | None
) -> tuple[Samples, Samples, Samples | None]:
    """All splits, scaled by the same numbers."""
    if preprocessing is None:
        return train, validation, test

    def scaled(samples: Samples) -> Samples:
        if isinstance(samples, TensorSamples):
            return TensorSamples(preprocessing(samples.inputs), samples.targets)
        assert isinstance(samples, DatasetSamples)
        return samples.preprocessed(preprocessing)

    return scaled(train), scaled(validation), None if test is None else scaled(test)


def _named(params: Params, task: Task) -> Params:
    """The vocabulary's hyperparameters: one that the task declares itself is the task's own business."""
    own = (name for name in task.knobs if name in HYPERPARAMETERS)
    return {**params, **{name: HYPERPARAMETERS[name].default for name in own}}


def _augmentation(
    params: Params, train: Samples, preprocessing: Preprocessing | None, seeds: Seeds
) -> Augmentation | None:
    if not any(is_on(params, name) for name in IMAGE_KNOBS):
        return None
    some_inputs, _ = train.take(some_of(train, STATISTICS, seeds, "statistics"))
    return build_augmentation(params, some_inputs, preprocessing)


def _mixing(params: Params, train: Samples, metric: Metric, seeds: Seeds) -> Mixing | None:
    if not any(is_on(params, name) for name in MIXING_KNOBS):
        return None
    inputs, targets = train.take(some_of(train, STATISTICS, seeds, "statistics"))
    return build_mixing(params, inputs, targets, metric.name)
