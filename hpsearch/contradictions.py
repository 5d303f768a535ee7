"""Settings of a study that can't go together, found before any trial starts."""

import math
from collections.abc import Iterator, Mapping

from hpsearch.errors import Problem
from hpsearch.space import Axis, Params, ParamValue
from hpsearch.vocabulary import DATASETS, NAMED_MODELS, is_residual


class Settings:
    """What a study's trials may be given: one value from `fixed` or the defaults, or an axis of `space`."""

    def __init__(self, values: Params, fixed: Params, space: Mapping[str, Axis]) -> None:
        self._values = values
        self._fixed = fixed
        self._space = space

    def can_be(self, name: str) -> tuple[ParamValue, ...]:
        """All values of a list, both ends of a range."""
        axis = self._space.get(name)
        if axis is None:
            return (self._values[name],)
        return axis.choices if axis.choices is not None else axis.bounds

    def high(self, name: str) -> float:
        return max((v for v in self.can_be(name) if not isinstance(v, str)), default=0)

    def low(self, name: str) -> float:
        return min((v for v in self.can_be(name) if not isinstance(v, str)), default=0)

    def is_given(self, name: str) -> bool:
        return name in self._space or name in self._fixed

    def pointer(self, name: str) -> str:
        return f"/space/{name}" if name in self._space else f"/fixed/{name}"


def model_contradictions(settings: Settings, model: str | None) -> Iterator[Problem]:
    """Of a named model and its layers; `model` is None for a user's own, which may read any setting."""
    if settings.low("batch_size") < 2 and "batch" in settings.can_be("normalization"):
        yield Problem(
            settings.pointer("normalization"),
            "normalization batch has no variance to take from batches of 1; set batch_size to at least 2 or "
            "normalization: layer",
        )
    if model is not None and model != "cnn" and "fractional" in settings.can_be("pooling"):
        yield Problem(
            settings.pointer("pooling"),
            f"pooling fractional is for cnn; {model} has no pooling of its own choice",
        )
    if model is not None and not is_residual(model) and settings.high("stochastic_depth") > 0:
        yield Problem(
            settings.pointer("stochastic_depth"),
            f"stochastic_depth skips residual branches, and {model} has none; use a model such as resnet18 or "
            "remove stochastic_depth",
        )
    if model is None or model in NAMED_MODELS:
        return
    for name, off in (("normalization", "none"), ("dropconnect", 0.0)):
        if any(value != off for value in settings.can_be(name)):
            yield Problem(
                settings.pointer(name),
                f"{name} is for mlp and cnn; {model} has its own layers, remove {name}",
            )


def weights_contradictions(settings: Settings, model: str | None, weights: str | None) -> Iterator[Problem]:
    """Of what training begins from; `model` is None for a user's own task, which may bring weights itself."""
    if model is None:
        return
    if weights is None and any(value != 0 for value in settings.can_be("freeze_layers")):
        yield Problem(
            settings.pointer("freeze_layers"),
            "freeze_layers would keep weights that were drawn at random; give the task weights, or remove freeze_layers",
        )
    if weights is not None and model in NAMED_MODELS and "." not in weights:
        yield Problem("/task/weights", f"torchvision has no weights {weights} for {model}; name a file")


def loading_contradictions(settings: Settings, dataset: str | None) -> Iterator[Problem]:
    """Of how data are read; `dataset` is None for a user's own, which may lie anywhere."""
    if dataset is not None and DATASETS[dataset].in_memory and settings.high("num_workers") > 0:
        yield Problem(
            settings.pointer("num_workers"),
            f"num_workers does nothing for {dataset}, which is held in memory; remove num_workers",
        )
    if dataset not in (None, "image_folder") and settings.is_given("image_size"):
        yield Problem(
            settings.pointer("image_size"),
            f"image_size is for image_folder; {dataset} has images of one size, remove image_size",
        )
    if dataset is not None and settings.is_given("prefetch_factor") and settings.high("num_workers") == 0:
        yield Problem(
            settings.pointer("prefetch_factor"),
            "prefetch_factor does nothing without num_workers; set num_workers to at least 1",
        )


def target_contradictions(settings: Settings, dataset: str | None) -> Iterator[Problem]:
    """Of what is predicted; `dataset` is None for a user's own. Every named data set has classes."""
    if dataset is not None and any(value != "none" for value in settings.can_be("target_scaling")):
        yield Problem(
            settings.pointer("target_scaling"),
            f"target_scaling standardizes the targets of a regression, and {dataset} has classes; remove target_scaling",
        )


def loop_contradictions(settings: Settings, epochs: float) -> Iterator[Problem]:
    """Of the training loop, whose shortest full trainings have so many epochs: batches, rates, snapshots."""
    if settings.high("snapshots") > max(1, math.ceil(epochs)):
        yield Problem(
            settings.pointer("snapshots"),
            f"snapshots = {settings.high('snapshots'):g} is more than the {math.ceil(epochs)} evaluations of a "
            "training, one an epoch; lower snapshots or train longer",
        )
    if settings.high("accumulate") > settings.low("batch_size"):
        yield Problem(
            settings.pointer("accumulate"),
            f"accumulate = {settings.high('accumulate'):g} splits a batch into more parts than the "
            f"{settings.low('batch_size'):g} samples it may have; lower accumulate",
        )
    if settings.is_given("base_batch_size") and set(settings.can_be("lr_scaling")) == {"none"}:
        yield Problem(
            settings.pointer("base_batch_size"),
            "base_batch_size does nothing without lr_scaling; set lr_scaling to linear or sqrt",
        )
    if settings.is_given("decay_biases") and settings.high("weight_decay") == settings.high("l1") == 0:
        yield Problem(
            settings.pointer("decay_biases"),
            "decay_biases does nothing without weight_decay or l1; set one of them",
        )
