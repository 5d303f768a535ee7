"""Faults: a change of hyperparameters, a part planted in the task's class, or both."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judge import planted_data, planted_loss, planted_model
from benchmarks.judge.families import FAMILIES, TWO_FAULTS
from benchmarks.judge.subject import Subject
from hpsearch.space import Params, ParamValue
from hpsearch.vocabulary import VerdictCode

Change = Callable[[Params], Params]
Part = type[Subject]


@dataclass(frozen=True)
class Fault:
    """`repairable`: other hyperparameters alone can bring the healthy twin's score back."""

    family: str
    name: str
    accept: frozenset[VerdictCode]
    changes: tuple[Change, ...] = ()
    parts: tuple[Part, ...] = ()
    repairable: bool = False

    @property
    def changes_loss(self) -> bool:
        """Then its validation loss does not compare with the healthy twin's."""
        return any(part.loss is not Subject.loss for part in self.parts)

    def params(self, healthy: Params) -> Params:
        for change in self.changes:
            healthy = change(healthy)
        return healthy

    def kind(self, healthy: type[Subject]) -> type[Subject]:
        """The healthy task's class with this fault's parts in front of its own methods."""
        return type(healthy.__name__, (*self.parts, healthy), {}) if self.parts else healthy


def fault(family: str, name: str, *planted: Change | Part, repairable: bool = False) -> Fault:
    """A fault of a family, with that family's accept-set."""
    parts = tuple(part for part in planted if isinstance(part, type))
    changes = tuple(change for change in planted if not isinstance(change, type))
    return Fault(family, name, FAMILIES[family].accept, changes, parts, repairable)


def both(one: Fault, other: Fault) -> Fault:
    """Two faults at once: naming either is right."""
    return Fault(
        TWO_FAULTS,
        f"{one.name} and {other.name}",
        one.accept | other.accept,
        one.changes + other.changes,
        one.parts + other.parts,
    )


def times(name: str, factor: float) -> Change:
    """A hyperparameter multiplied; it must be in the healthy params."""
    return lambda params: {**params, name: float(params[name]) * factor}


def having(**values: ParamValue) -> Change:
    return lambda params: {**params, **values}


def sized(part: Part, **strength: float) -> Part:
    """A planted part with another strength than its own."""
    return type(part.__name__, (part,), strength)


# --- faults in hyperparameters -------------------------------------------------------------------


def lr_times(factor: float, family: str) -> Fault:
    name = f"lr x{factor:g}" if factor >= 1 else f"lr /{1 / factor:g}"
    return fault(family, name, times("learning_rate", factor), repairable=True)


def hot_small_batch(factor: float, batch: int, **small: ParamValue) -> Fault:
    """A model that can't settle: a rate too hot for so small a batch. `small`: what makes the model small."""
    change = having(batch_size=batch, schedule="constant", momentum=0.0, **small)
    name = f"lr x{factor:g} with batch {batch}"
    return fault("plateau", name, times("learning_rate", factor), change, repairable=True)


def early_step(epoch_share: float, factor: float) -> Fault:
    def change(params: Params) -> Params:
        step = epoch_share * float(params["epochs"])
        return {**params, "schedule": "step", "step_epochs": step, "step_factor": factor}

    return fault("early_decay", f"step x{factor:g} at {epoch_share:.0%}", change, repairable=True)


def regularized(family: str, name: str, value: float) -> Fault:
    return fault(family, f"{name} {value:g}", having(**{name: value}), repairable=True)


def momentum(value: float) -> Fault:
    return fault("high_momentum", f"momentum {value:g}", having(momentum=value), repairable=True)


def tiny_batch(size: int) -> Fault:
    """Not as many epochs as before, or a batch of 1 would train for 64 times as many steps."""

    def change(params: Params) -> Params:
        epochs = max(4, round(4 * float(params["epochs"]) * size / float(params["batch_size"])))
        return {**params, "batch_size": size, "epochs": epochs}

    return fault("tiny_batch", f"batch {size}", change, repairable=True)


def few_epochs(count: int) -> Fault:
    return fault("few_epochs", f"{count} epochs", having(epochs=count), repairable=True)


def few_slow_epochs(count: int, factor: float) -> Fault:
    """Few epochs at a low rate: either remedy is right."""
    change = times("learning_rate", factor)
    return fault(
        "lr_low", f"{count} epochs at lr /{1 / factor:g}", having(epochs=count), change, repairable=True
    )


def narrow_knob(name: str, value: int) -> Fault:
    return fault("small_model", f"{name} {value}", having(**{name: value}), repairable=True)


def clipped(norm: float) -> Fault:
    return fault("hard_clipping", f"clip_norm {norm:g}", having(clip_norm=norm), repairable=True)


def long_warmup(epochs: float) -> Fault:
    return fault("long_warmup", f"warmup {epochs:g} epochs", having(warmup_epochs=epochs), repairable=True)


# --- faults in code ------------------------------------------------------------------------------


def last_layer(factor: float) -> Fault:
    part = sized(planted_model.LastLayerTimes, factor=factor)
    return fault("init_large", f"last layer x{factor:g}", part, repairable=True)


def weights_std(std: float) -> Fault:
    part = sized(planted_model.WeightsOfStd, std=std)
    return fault("init_large", f"weights of std {std:g}", part, repairable=True)


def weights_times(factor: float) -> Fault:
    part = sized(planted_model.WeightsTimes, factor=factor)
    return fault("init_small", f"weights x{factor:g}", part, repairable=True)


def hidden_bias(bias: float) -> Fault:
    part = sized(planted_model.HiddenBias, bias=bias)
    return fault("dead_units", f"hidden bias {bias:g}", part, repairable=True)


def deep_sigmoid(depth: int) -> Fault:
    part = sized(planted_model.DeepSigmoid, depth=depth)
    return fault("deep_sigmoid", f"{depth} sigmoid layers", part)


def inputs_times(factor: float) -> Fault:
    part = sized(planted_data.InputsTimes, factor=factor)
    return fault("input_scale", f"inputs x{factor:g}", part, repairable=True)


def inputs_offset(offset: float) -> Fault:
    part = sized(planted_data.InputsOffset, offset=offset)
    return fault("input_scale", f"inputs +{offset:g}", part, repairable=True)


def one_large_feature(factor: float) -> Fault:
    part = sized(planted_data.OneLargeFeature, factor=factor)
    return fault("input_scale", f"one feature x{factor:g}", part, repairable=True)


RAW_INPUTS = fault("input_scale", "raw inputs", planted_data.RawInputs, repairable=True)
LINEAR = fault("small_model", "linear model", planted_model.Linear)
DOUBLE_SOFTMAX = fault("double_softmax", "double softmax", planted_loss.Squashed)
SUM_REDUCTION = fault("sum_reduction", "sum reduction", planted_loss.SummedLoss)
SIGN_FLIP = fault("sign_flip", "sign flip", planted_loss.FlippedSign)
RAW_VALIDATION = fault("raw_validation", "raw validation", planted_data.RawValidation)
VALIDATION_TWICE = fault("raw_validation", "validation scaled twice", planted_data.ValidationScaledTwice)
CLASS_NUMBERS = fault("class_numbers", "other class numbers in validation", planted_data.OtherClassNumbers)
SORTED_DATA = fault("sorted_data", "sorted, unshuffled", planted_data.SortedByTarget, having(shuffle=False),
                    repairable=False)  # fmt: skip
FROZEN = fault("frozen_layers", "frozen hidden layers", planted_model.FrozenHidden)


def validation_times(factor: float) -> Fault:
    part = sized(planted_data.ValidationTimes, factor=factor)
    return fault("raw_validation", f"validation x{factor:g}", part)


def narrow(units: int) -> Fault:
    return fault(
        "small_model", f"{units} hidden units in code", sized(planted_model.NarrowHidden, units=units)
    )


def shuffled_labels(*changes: Change) -> Fault:
    """`changes` let the model learn them by heart."""
    return fault("shuffled_labels", "shuffled labels", planted_data.ShuffledLabels, *changes)


def labels_wrong(share: float, *changes: Change) -> Fault:
    part = sized(planted_data.SomeLabelsWrong, share=share)
    how = ", learned by heart" if changes else ""
    return fault("label_noise", f"{share:.0%} wrong labels{how}", part, *changes)


def longer(factor: float) -> Change:
    """More epochs: whoever learns by heart needs them."""
    return lambda params: {**params, "epochs": round(factor * float(params["epochs"]))}


def few_samples(count: int, more_epochs: float = 5) -> Fault:
    """Few samples in small batches, for as many updates as it takes to learn them by heart."""
    few = sized(planted_data.FewSamples, count=count)
    return fault("few_samples", f"{count} samples", few, longer(more_epochs), having(batch_size=10))


def few_noisy_samples(count: int, share: float, more_epochs: float = 8) -> Fault:
    few = sized(planted_data.FewSamples, count=count)
    wrong = sized(planted_data.SomeLabelsWrong, share=share)
    noisy = fault("few_samples", f"{count} samples, {share:.0%} wrong", wrong, few)
    # With wrong labels among them, "labels" is as true as "overfit".
    return Fault(
        noisy.family,
        noisy.name,
        noisy.accept | FAMILIES["label_noise"].accept,
        (longer(more_epochs), having(batch_size=10)),
        noisy.parts,
    )


def dropout_in_evaluation(share: float) -> Fault:
    part = sized(planted_model.DropoutInEvaluation, share=share)
    return fault("train_mode_evaluation", f"dropout {share:g} in evaluation", part)


def stale_statistics(value: float) -> Fault:
    part = sized(planted_model.StaleStatistics, momentum=value)
    return fault("train_mode_evaluation", f"batch norm with momentum {value:g}", part)


def raw_targets(scale: float, offset: float) -> Fault:
    part = sized(planted_data.RawTargets, scale=scale, offset=offset)
    return fault("raw_targets", f"targets x{scale:g} +{offset:g}", part)


def scaled_loss(factor: float) -> Fault:
    part = sized(planted_loss.ScaledLoss, factor=factor)
    return fault("scaled_loss", f"loss x{factor:g}", part, repairable=True)
