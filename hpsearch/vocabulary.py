"""The closed lists that a server without torch must know.

Each hyperparameter is a `Knob`: an axis (its legal range), a default and one line of help. A task's own
knobs are written in the same words. Tests hold the lists against torch and torchvision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from hpsearch.errors import unknown
from hpsearch.space import Axis, Params, ParamValue

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
SCHEDULES = ("constant", "step", "cosine", "linear", "inverse_sqrt")
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu")
INITIALIZATIONS = ("framework", "reset", "xavier", "kaiming", "normal", "zeros")
PREPROCESSINGS = ("none", "centered", "standardized")
TARGET_SCALINGS = ("none", "standardized")
LOSSES = ("cross_entropy", "multiclass_hinge", "binary_cross_entropy", "mse", "mae")
NORMALIZATIONS = ("none", "batch", "layer")
PRECISIONS = ("float32", "bfloat16")
POOLINGS = ("max", "fractional")
LR_SCALINGS = ("none", "linear", "sqrt")
METRICS = ("accuracy", "balanced_accuracy", "multilabel_accuracy", "mse", "mae")
NAMED_MODELS = ("mlp", "cnn")
# torchvision's classification models by their own names; a test compares the list with the library.
TORCHVISION_MODELS = (
    "alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny", "densenet121",
    "densenet161", "densenet169", "densenet201", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2",
    "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t",
    "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf",
    "regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf", "regnet_y_128gf", "regnet_y_16gf",
    "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf",
    "regnet_y_8gf", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "resnext101_32x8d",
    "resnext101_64x4d", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "squeezenet1_0", "squeezenet1_1", "swin_b", "swin_s",
    "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16",
    "vgg16_bn", "vgg19", "vgg19_bn", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
    "wide_resnet101_2", "wide_resnet50_2",
)  # fmt: skip
MODELS = NAMED_MODELS + TORCHVISION_MODELS
# torchvision's models that add branches to shortcuts begin with these; densenet and shufflenet concatenate.
RESIDUAL_FAMILIES = (
    "convnext", "efficientnet", "maxvit", "mnasnet", "mobilenet", "regnet", "resnet", "resnext", "swin",
    "vit", "wide_resnet",
)  # fmt: skip
OPTUNA_SAMPLERS = ("tpe", "qmc", "gp", "cmaes")
TEST_TIMES = ("none", "flip", "five_crop", "ten_crop")
METHODS = ("recipe", "grid", "random")


@dataclass(frozen=True)
class DatasetCard:
    """What a server must know of a data set without loading it. `shape` is one input, channels first. 0 classes
    or samples: only the worker that has the files knows.
    """

    classes: int
    shape: tuple[int, ...]
    train_size: int
    download: bool
    in_memory: bool = True


DATASETS: Mapping[str, DatasetCard] = {
    # 1,797 samples: 360 test, 287 validation, the rest train (training/datasets.py).
    "digits": DatasetCard(10, (1, 8, 8), 1150, download=False),
    "mnist": DatasetCard(10, (1, 28, 28), 54_000, download=True),
    "fashion_mnist": DatasetCard(10, (1, 28, 28), 54_000, download=True),
    "cifar10": DatasetCard(10, (3, 32, 32), 45_000, download=True),
    "cifar100": DatasetCard(100, (3, 32, 32), 45_000, download=True),
    "image_folder": DatasetCard(0, (3, 224, 224), 0, download=False, in_memory=False),
}


class VerdictCode(StrEnum):
    """What a stage or a diagnosis can conclude."""

    OK = "ok"
    LOSS_BUG = "loss_bug"
    INPUT_SCALE = "input_scale"
    BAD_INIT = "bad_init"
    DEAD = "dead"
    VANISHING = "vanishing"
    VAL_MISMATCH = "val_mismatch"
    OVER_REGULARIZED = "over_regularized"
    DECAY_TOO_EARLY = "decay_too_early"
    LR_TOO_HIGH = "lr_too_high"
    LR_TOO_LOW = "lr_too_low"
    UNDERFIT = "underfit"
    LABELS = "labels"
    OVERFIT = "overfit"
    PLATEAU_DECAY = "plateau_decay"
    TRAIN_LONGER = "train_longer"
    NOISY_EVAL = "noisy_eval"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


class Knob(BaseModel):
    """A hyperparameter: its legal range, its default, and what it does in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axis: Axis
    default: ParamValue
    help: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "Knob":
        """A task's own words, `{low, high, log, type, choices, default}`. Raises pydantic.ValidationError."""
        axis = {key: value for key, value in raw.items() if key not in ("default", "help")}
        parsed = Axis.model_validate(axis)
        return cls(axis=parsed, default=raw.get("default", parsed.middle), help=str(raw.get("help", "")))


def _range(
    default: float,
    low: float,
    high: float,
    help: str,  # noqa: A002
    *,
    log: bool = False,
    type: Literal["float", "int"] = "float",  # noqa: A002
) -> Knob:
    return Knob(axis=Axis(type=type, low=low, high=high, log=log), default=default, help=help)


def _choice(default: ParamValue, choices: tuple[ParamValue, ...], help: str) -> Knob:  # noqa: A002
    return Knob(axis=Axis(type="categorical", choices=choices), default=default, help=help)


HYPERPARAMETERS: Mapping[str, Knob] = {
    "learning_rate": _range(1e-2, 1e-8, 1e2, "step size of the optimizer", log=True),
    "weight_decay": _range(0.0, 0.0, 1e2, "L2 pull on weights, never on biases or norm scales"),
    "l1": _range(0.0, 0.0, 1e2, "L1 pull on weights, never on biases or norm scales"),
    "optimizer": _choice("sgd", OPTIMIZERS, "update rule"),
    "momentum": _range(0.9, 0.0, 0.9999, "of momentum and nesterov, and of sgd where it is set"),
    "nesterov": _choice(False, (False, True), "Nesterov's momentum for sgd"),
    "batch_size": _range(64, 1, 65_536, "samples in a minibatch", log=True, type="int"),
    "epochs": _range(10, 1, 100_000, "passes over the training set (grid and random)", log=True, type="int"),
    "schedule": _choice("constant", SCHEDULES, "how the learning rate changes"),
    "schedule_epochs": _range(0.0, 0.0, 1e5, "length of the schedule; 0: the whole budget"),
    "step_epochs": _range(0.0, 0.0, 1e5, "when schedule `step` multiplies; 0: at half of the schedule"),
    "step_factor": _range(0.1, 1e-6, 1.0, "what schedule `step` multiplies by", log=True),
    "warmup_epochs": _range(0.0, 0.0, 1e4, "linear warmup before the schedule"),
    "clip_norm": _range(0.0, 0.0, 1e6, "largest gradient norm; 0: no clipping"),
    "shuffle": _choice(True, (True, False), "new data order each epoch"),
    "dropout": _range(0.0, 0.0, 0.99, "fraction of hidden units dropped in training"),
    "label_smoothing": _range(0.0, 0.0, 0.9, "share of the target spread over all classes"),
    "activation": _choice("relu", ACTIVATIONS, "of hidden layers"),
    "initialization": _choice(
        "kaiming",
        INITIALIZATIONS,
        "of weights; `framework` is as the model made them, `reset` each layer's own default",
    ),
    "initialization_std": _range(0.01, 0.0, 1e3, "standard deviation for initialization `normal`"),
    "output_scale": _range(1.0, 0.0, 1e6, "factor on the output layer's initial weights"),
    "output_bias": _choice("zero", ("zero", "prior"), "start of the output layer: `prior` knows the targets"),
    "preprocessing": _choice("standardized", PREPROCESSINGS, "of inputs, statistics from training data"),
    "target_scaling": _choice(
        "none", TARGET_SCALINGS, "of a regression's targets, statistics from training data"
    ),
    "loss": _choice("cross_entropy", LOSSES, "training loss"),
    "hidden_units": _range(128, 1, 65_536, "width of an mlp's hidden layers", log=True, type="int"),
    "hidden_layers": _range(1, 0, 100, "depth of an mlp", type="int"),
    "channels": _range(16, 1, 4_096, "channels of a cnn's first layer", log=True, type="int"),
    # Augmentation of training images, drawn for each sample; 0: off (training/augmentation).
    "flip": _range(0.0, 0.0, 1.0, "probability that an image is mirrored"),
    "crop_padding": _range(0, 0, 512, "black pixels around an image before a random crop", type="int"),
    "resized_crop": _range(0.0, 0.0, 1.0, "smallest area of a random crop that is enlarged; 0: none"),
    "scale_jitter": _range(0.0, 0.0, 4.0, "images enlarged 1 to 1 + this, then cropped at random"),
    "color_jitter": _range(0.0, 0.0, 10.0, "strength of random brightness, contrast and saturation"),
    "hue_jitter": _range(0.0, 0.0, 0.5, "largest random turn of the hue, in whole turns"),
    "pca_color": _range(0.0, 0.0, 10.0, "strength of AlexNet's colour offset; its own is 0.1"),
    "randaugment_n": _range(0, 0, 20, "RandAugment's operations per image; 0: none", type="int"),
    "randaugment_m": _range(9, 0, 30, "RandAugment's magnitude", type="int"),
    "cutout": _range(0, 0, 1_024, "side in pixels of a square that is erased; 0: none", type="int"),
    "random_erasing": _range(0.0, 0.0, 1.0, "probability that a random box is erased"),
    "mixup": _range(0.0, 0.0, 100.0, "alpha of mixup's Beta distribution; 0: off"),
    "cutmix": _range(0.0, 0.0, 100.0, "alpha of CutMix's Beta distribution; 0: off"),
    "test_time": _choice("none", TEST_TIMES, "views averaged in validation and test"),
    "test_scale": _range(256 / 224, 1.01, 4.0, "enlargement before the crops of test_time"),
    "test_scales": _range(1, 1, 10, "how many enlargements up to test_scale are averaged", type="int"),
    "train_fraction": _range(1.0, 1e-6, 1.0, "share of the training set that is used, stratified", log=True),
    "ema_decay": _range(0.0, 0.0, 0.999999, "memory of averaged weights, which are evaluated; 0: none"),
    "normalization": _choice("none", NORMALIZATIONS, "before each activation of an mlp or cnn"),
    "pooling": _choice("max", POOLINGS, "of a cnn; fractional draws its regions in training"),
    "dropconnect": _range(0.0, 0.0, 0.99, "fraction of an mlp's or cnn's weights dropped in training"),
    "stochastic_depth": _range(
        0.0, 0.0, 0.99, "chance that the last residual branch is skipped, earlier ones linearly less"
    ),
    "decay_biases": _choice(False, (False, True), "weight_decay and l1 pull biases and norm scales too"),
    "accumulate": _range(1, 1, 65_536, "parts that a batch is computed in, one by one", log=True, type="int"),
    "lr_scaling": _choice("none", LR_SCALINGS, "how the learning rate follows batch_size / base_batch_size"),
    "base_batch_size": _range(64, 1, 65_536, "where lr_scaling leaves the rate", log=True, type="int"),
    "patience": _range(
        0, 0, 100_000, "evaluations without a better one until training ends; 0: off", type="int"
    ),
    "snapshots": _range(1, 1, 100, "best snapshots that are evaluated together; 1: no ensemble", type="int"),
    "freeze_layers": _range(
        0, -1, 10_000, "first layers that keep their weights; -1: all but the head", type="int"
    ),
    "backbone_lr_factor": _range(
        1.0, 1e-6, 1.0, "of the learning rate, for all layers but the head", log=True
    ),
    "layer_lr_decay": _range(1.0, 1e-2, 1.0, "of the learning rate, for each layer between one and the head"),
    "monitors": _choice(True, (True, False), "measure gradients, updates and units on the way"),
    "precision": _choice("float32", PRECISIONS, "of a model's arithmetic; its weights stay float32"),
    # What a diagnosis changes in a model that it knows nothing about (training/counterfactual.py).
    "extra_capacity": _range(0, 0, 64, "silent copies and hidden units beside the model", type="int"),
    "model_dropout": _choice(True, (True, False), "keep the dropout layers that a model was built with"),
    "compile": _choice(False, (False, True), "torch.compile for training steps, where there is a compiler"),
    "image_size": _range(224, 8, 1_024, "side in pixels of an image_folder's pictures", type="int"),
    "num_workers": _range(0, 0, 256, "processes that read a data set that isn't in memory", type="int"),
    "prefetch_factor": _range(2, 1, 64, "batches that each of num_workers reads ahead", type="int"),
    "channels_last": _choice(False, (False, True), "images' channels in the last place of memory"),
}
# What changes training batches; 0 is off for each.
AUGMENTATIONS = (
    "flip", "crop_padding", "resized_crop", "scale_jitter", "color_jitter", "hue_jitter", "pca_color",
    "randaugment_n",
    "cutout", "random_erasing", "mixup", "cutmix",
)  # fmt: skip
MIXING_KNOBS = ("mixup", "cutmix")
IMAGE_KNOBS = (*(name for name in AUGMENTATIONS if name != "mixup"), "test_time")  # need images
REGRESSION_LOSSES = ("mse", "mae")


def is_residual(model: str) -> bool:
    """Whether a named model has residual branches."""
    return model.startswith(RESIDUAL_FAMILIES)


def is_on(values: Mapping[str, ParamValue], name: str) -> bool:
    """Whether an augmentation is asked for."""
    return values[name] not in (0, "none")


def size_problem(name: str, value: ParamValue, shape: tuple[int, ...]) -> str | None:
    """What is wrong with a hyperparameter's value for images of this shape, channels first."""
    side = min(shape[1:], default=0)
    if name == "crop_padding" and float(value) >= side > 0:
        return f"crop_padding = {value} must be less than the {side} pixels of an image's side"
    if name == "hue_jitter" and float(value) > 0 and len(shape) == 3 and shape[0] == 1:
        return "hue_jitter turns colours, and these images are grey; remove hue_jitter"
    if name == "cutout" and float(value) >= 2 * side > 0:
        return f"cutout = {value} would erase whole images of {side} pixels; use less than {2 * side}"
    return None


# A user's own task brings its data and weights as they should be: nothing is changed unless it is asked for.
OWN_TASK_DEFAULTS: Mapping[str, ParamValue] = {"preprocessing": "none", "initialization": "framework"}


def knobs_of(task_knobs: Mapping[str, Knob]) -> dict[str, Knob]:
    """All names that a study of this task may set. The task's own knobs come last and win."""
    return {**HYPERPARAMETERS, **task_knobs}


def hyperparameters(task_knobs: Mapping[str, Knob], *layers: Mapping[str, ParamValue]) -> Params:
    """Every knob's value: defaults, then each layer over the ones before it.

    The layers are, in order, a study's `fixed`, a trial's `params` and its program's `overrides`.
    """
    values: Params = {name: knob.default for name, knob in knobs_of(task_knobs).items()}
    for layer in layers:
        values.update(layer)
    # `optimizer: sgd` is plain unless momentum is asked for by name.
    if values["optimizer"] == "sgd" and not any("momentum" in layer for layer in layers):
        values["momentum"] = 0.0
    return values


def check_value(name: str, value: ParamValue, knobs: Mapping[str, Knob]) -> ParamValue:
    """`value` as this knob's type. Raises ValueError with one sentence for an unknown name or bad value."""
    knob = knobs.get(name)
    if knob is None:
        raise ValueError(unknown("hyperparameter", name, knobs))
    if knob.axis.choices is not None:
        if isinstance(value, str) and not knob.axis.contains(value):
            raise ValueError(unknown(name, value, [str(c) for c in knob.axis.choices]))
        if not knob.axis.contains(value):
            known = ", ".join(str(c).lower() if isinstance(c, bool) else str(c) for c in knob.axis.choices)
            raise ValueError(f"{name} can't be {value!r}; known: {known}")
        return value
    if isinstance(value, bool | str):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not knob.axis.contains(value):
        low, high = knob.axis.bounds
        whole = "a whole number " if knob.axis.type == "int" else ""
        raise ValueError(f"{name} = {value:g} is not {whole}between {low:g} and {high:g}")
    return int(value) if knob.axis.type == "int" else float(value)
