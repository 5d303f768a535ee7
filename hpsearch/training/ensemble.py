"""Several snapshots of one training as one predictor."""

# B batch, K classes

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpsearch.training.batches import Samples
from hpsearch.training.checkpoint import Snapshot
from hpsearch.training.evaluation import outputs_of
from hpsearch.training.gradients import arithmetic
from hpsearch.training.metrics import Metric, accuracy, balanced_accuracy, multilabel_accuracy
from hpsearch.training.prepared import Prepared

SURE = 1e-7  # probabilities are kept this far from 0 and 1, about float32's precision


def ensemble_metric(
    model: nn.Module, snapshots: Sequence[Snapshot], prepared: Prepared, samples: Samples
) -> float:
    """The metric of the snapshots' averaged outputs over a split. Leaves the last one's weights in `model`."""
    indices = torch.arange(samples.count)
    outputs: list[Tensor] = []
    targets = torch.empty(0)
    model.eval()
    with arithmetic(str(prepared.params["precision"]), prepared.device):
        for snapshot in snapshots:
            model.load_state_dict(snapshot.weights)
            found, targets = outputs_of(model, samples, indices, prepared.batch_size)
            outputs.append(found)
    with torch.no_grad():
        return float(prepared.metric.measure(averaged(outputs, prepared.metric), targets))


def averaged(outputs: Sequence[Tensor], metric: Metric) -> Tensor:
    """The mean of probabilities, as logits again, where the metric reads classes (Huang et al. 2017); of the
    outputs themselves for a regression or a metric of the user's own.
    """
    stacked = torch.stack(list(outputs))
    single = stacked.ndim == 2 or stacked.shape[-1] == 1
    if metric.measure is multilabel_accuracy or (single and metric.measure in (accuracy, balanced_accuracy)):
        return stacked.sigmoid().mean(0).clamp(SURE, 1 - SURE).logit()
    if metric.measure in (accuracy, balanced_accuracy):
        return stacked.softmax(2).mean(0).clamp_min(SURE).log()
    return stacked.mean(0)
