"""The program `check`: what recipe.md's step 1 measures, without training."""

# B batch, K classes

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.records import Number
from hpsearch.training.activations import activation_statistics
from hpsearch.training.batches import TensorSamples
from hpsearch.training.counterfactual import largest_dropout, training_jitter
from hpsearch.training.evaluation import checked, checked_scalar
from hpsearch.training.evaluation_mode import evaluation_mode
from hpsearch.training.initialization import weight_layers
from hpsearch.training.input_statistics import input_statistics
from hpsearch.training.label_signal import label_signal
from hpsearch.training.loss_factor import loss_factor
from hpsearch.training.output_bias import constant_outputs
from hpsearch.training.prepared import Prepared
from hpsearch.training.regularization import parameter_groups, penalty
from hpsearch.training.targets import are_labels, class_labels

VECTOR_SAMPLES = 1024  # that losses and activations at initialization are measured on
IMAGE_SAMPLES = 256  # the least that recipe.md allows; images cost more
INITIALIZATIONS = 5
BASELINE = 20  # minibatch losses without updates, for step 3's test
DESCENTS = (1e-2, 1e-3, 1e-4, 1e-5)  # predicted relative decreases of the loss
TEST_DECAY = 1e-4
SURE_LOGIT = 100.0
LEAST_WEIGHTS = 32

Measurements = dict[str, Number | list[Number]]


@dataclass(frozen=True)
class _Probe:
    """A fixed training batch, a model at initialization, and its outputs there."""

    prepared: Prepared
    model: nn.Module
    inputs: Tensor
    targets: Tensor
    outputs: Tensor

    def loss(self, outputs: Tensor, targets: Tensor | None = None) -> float:
        with torch.no_grad():
            return float(self.prepared.loss(outputs, self.targets if targets is None else targets))


def check(prepared: Prepared) -> Measurements:
    """All measurements of a check; the caller has switched dropout, smoothing and decay off by overrides.

    Losses are in evaluation mode, except that batch norm uses the batch: at initialization its running
    statistics describe nothing.
    """
    vectors = isinstance(prepared.train, TensorSamples) and prepared.train.inputs.ndim <= 2
    count = VECTOR_SAMPLES if vectors else IMAGE_SAMPLES
    inputs, targets = prepared.train.take(prepared.sample_indices(count, "check"))
    probe = _probe(prepared, "init", inputs, targets)
    others = (_probe(prepared, f"init/{i}", inputs, targets) for i in range(1, INITIALIZATIONS))
    found: Measurements = {
        "initial_losses": [probe.loss(probe.outputs), *(other.loss(other.outputs) for other in others)],
        "expected_loss": probe.loss(torch.zeros_like(probe.outputs)),
        "floor_loss": floor_loss(probe),
        "chance_loss": chance_loss(probe),
        "output_std": float(probe.outputs.float().std(correction=0)),
        **_target_std(prepared),
        "duplicate_ratio": _duplicate_ratio(probe),
        "loss_factor": loss_factor(prepared.loss, probe.outputs, probe.targets),
    }
    found.update(_sizes(prepared))
    found.update(_label_statistics(prepared))
    found.update(input_statistics(prepared))
    found.update(activation_statistics(probe.model, inputs))
    found.update(_weight_statistics(probe))
    found.update(_gradient_tests(probe))
    found.update(evaluation_mode(prepared.new_model(), inputs))
    found["training_jitter"] = training_jitter(prepared.new_model(), inputs)
    found.update(label_signal(prepared))
    found["baseline_losses"] = baseline_losses(prepared)
    return found


def _probe(prepared: Prepared, purpose: str, inputs: Tensor, targets: Tensor) -> _Probe:
    model = prepared.new_model(purpose).eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    with torch.no_grad():
        outputs = checked(model(inputs))
        checked_scalar(prepared.loss(outputs, targets))
    return _Probe(prepared, model, inputs, targets, outputs)


def floor_loss(probe: _Probe) -> float:
    """The lowest loss that outputs can have: the task's perfect outputs, else the best of the outputs that
    are perfect for a common loss. NaN where none fits.
    """
    own = probe.prepared.task.perfect_outputs(probe.targets)
    if own is not None:
        return probe.loss(own)
    losses = [probe.loss(guess) for guess in _perfect_guesses(probe.outputs, probe.targets)]
    return min((loss for loss in losses if math.isfinite(loss)), default=math.nan)


def chance_loss(probe: _Probe) -> float:
    """The lowest loss of outputs that are the same for every sample: what a model scores that knows the
    targets but not the inputs.
    """
    constants = constant_outputs(probe.outputs, probe.targets)
    losses = [probe.loss(constant.expand_as(probe.outputs).contiguous()) for constant in constants]
    return min((loss for loss in losses if math.isfinite(loss)), default=math.nan)


def _perfect_guesses(outputs: Tensor, targets: Tensor) -> list[Tensor]:
    """One-hot rows as values (mse) and as sure logits (cross-entropy, hinge); targets themselves, and where
    they are all 0 or 1 as sure logits (binary cross-entropy).
    """
    if targets.is_floating_point() or outputs.shape == targets.shape or outputs[0].numel() == 1:
        if outputs.numel() != targets.numel():
            return []
        same = targets.reshape(outputs.shape).to(outputs.dtype)
        binary = bool(((same == 0) | (same == 1)).all())
        return [same, (2 * same - 1) * SURE_LOGIT] if binary else [same]
    if outputs.ndim < 2 or targets.ndim != outputs.ndim - 1 or int(targets.max()) >= outputs.shape[1]:
        return []
    one_hot = functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1).to(outputs.dtype)
    return [one_hot, one_hot * SURE_LOGIT, (2 * one_hot - 1) * SURE_LOGIT]


def _duplicate_ratio(probe: _Probe) -> float:
    """The loss of the batch beside itself over that of the batch: 1 for a mean, 2 for a sum."""
    single = probe.loss(probe.outputs)
    double = probe.loss(torch.cat([probe.outputs] * 2), torch.cat([probe.targets] * 2))
    return double / single if single else math.nan


def _sizes(prepared: Prepared) -> dict[str, float]:
    return {
        "train_size": float(prepared.train.count),
        "val_size": prepared.validation_answers(),
        "steps_per_epoch": float(prepared.steps_per_epoch),
        "classes": prepared.classes(),
    }


def _label_statistics(prepared: Prepared) -> dict[str, float]:
    """`label_entropy` in nats and `majority_fraction`, the share of the commonest class; NaN without classes."""
    labels = class_labels(prepared.some_targets(), prepared.metric.name)
    if labels is None:
        return {"label_entropy": math.nan, "majority_fraction": _yes_no_majority(prepared.some_targets())}
    shares = torch.bincount(labels.cpu()).double() / len(labels)
    return {
        "label_entropy": float(-torch.special.xlogy(shares, shares).sum()),
        "majority_fraction": float(shares.max()),
    }


def _target_std(prepared: Prepared) -> dict[str, float]:
    """`target_std`, the standard deviation of a regression's targets; nothing for classes and labels."""
    targets = prepared.some_targets()
    return {} if are_labels(targets) else {"target_std": float(targets.double().std(correction=0))}


def _yes_no_majority(targets: Tensor) -> float:
    """Of several yes/no labels: the share that is right where each gets its commonest value. NaN for values."""
    if targets.ndim < 2 or not bool(((targets == 0) | (targets == 1)).all()):
        return math.nan
    shares = targets.double().mean(0)
    return float(torch.maximum(shares, 1 - shares).mean())


def _weight_statistics(probe: _Probe) -> dict[str, float]:
    weights = [layer.weight.detach() for layer in weight_layers(probe.model)]
    zero = [not bool(weight.any()) for weight in weights]
    params = probe.prepared.params
    decayed = parameter_groups(probe.model, decay_biases=bool(params["decay_biases"])).decaying
    return {
        "parameters": float(sum(p.numel() for p in probe.model.parameters())),
        "zero_weight_fraction": sum(zero) / len(zero) if zero else 0.0,
        "model_dropout": largest_dropout(probe.prepared.task.model(params)),
        **_weight_scales(probe.model),
        "decay_gain": penalty(decayed, {"weight_decay": TEST_DECAY, "l1": 0.0}),
    }


def _weight_scales(model: nn.Module) -> dict[str, float]:
    """`weight_scale_min` and `weight_scale_max`: over the layers, std of the weights times sqrt(fan-in), which
    is 0.58 as torch initializes, 1 to 1.4 for kaiming; recurrent weights by their hidden size. Layers of a few
    weights are left out: what they drew says nothing.
    """
    scales = [
        float(m.weight.detach().std(correction=0)) * math.sqrt(m.weight[0].numel())
        for m in weight_layers(model)
        if m.weight.numel() >= LEAST_WEIGHTS
    ]
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            weights = [p for name, p in module.named_parameters(recurse=False) if name.startswith("weight")]
            scales += [float(w.detach().std(correction=0)) * math.sqrt(module.hidden_size) for w in weights]
    return {"weight_scale_min": min(scales, default=1.0), "weight_scale_max": max(scales, default=1.0)}


def _gradient_tests(probe: _Probe) -> dict[str, float]:
    """`gradient_ratio`: gradient norm of the first weight layer that learns over the last's. `descent`: see `_descent`."""
    probe.model.zero_grad()
    loss = probe.prepared.loss(probe.model(probe.inputs), probe.targets)
    loss.backward()  # type: ignore[no-untyped-call]
    layers = [layer for layer in weight_layers(probe.model) if layer.weight.requires_grad]
    norms = [0.0 if layer.weight.grad is None else float(layer.weight.grad.norm()) for layer in layers]
    ratio = norms[0] / norms[-1] if norms and norms[-1] > 0 else (0.0 if norms else math.nan)
    return {"gradient_ratio": ratio, "descent": _descent(probe, float(loss.detach()))}


def _descent(probe: _Probe, loss: float) -> float:
    """Steps against the gradient that predict relative decreases of 1e-2 to 1e-5: the largest share of its
    prediction that one achieves. Near 1 for a smooth loss, at most 0 where the gradient leads nowhere.
    """
    followed = [(p.detach(), p.grad) for p in probe.model.parameters() if p.grad is not None]
    parameters, gradients = [p for p, _ in followed], [gradient for _, gradient in followed]
    squared = sum(float(gradient.double().square().sum()) for gradient in gradients)
    if not (math.isfinite(squared) and math.isfinite(loss)) or squared == 0 or loss == 0:
        return 0.0
    before = [p.clone() for p in parameters]
    best = -math.inf
    with torch.no_grad():
        for predicted in DESCENTS:
            torch._foreach_add_(parameters, gradients, alpha=-predicted * abs(loss) / squared)
            lower = float(probe.prepared.loss(probe.model(probe.inputs), probe.targets))
            best = max(best, (loss - lower) / (predicted * abs(loss)))
            torch._foreach_copy_(parameters, before)
    return best if math.isfinite(best) else 0.0


def baseline_losses(prepared: Prepared) -> list[Number]:
    """The first 20 minibatch losses in training's own order, from training's initial weights, without a
    single update: what step 3 tests the losses after training against.
    """
    model = prepared.new_model().train()
    losses: list[Number] = []
    epoch = 0
    with torch.no_grad():
        while len(losses) < BASELINE:
            for inputs, targets in prepared.epoch(epoch):
                losses.append(float(prepared.loss(model(inputs), targets)))
                if len(losses) == BASELINE:
                    break
            epoch += 1
    return losses
