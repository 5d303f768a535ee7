"""Whether a model that is asked to evaluate does: the same answer twice, and to each sample on its own."""

import torch
from torch import Tensor, nn

from hpsearch.training.evaluation import checked


def evaluation_mode(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """`evaluation_jitter`: how much two evaluations of the same batch differ; `batch_dependence`: how much the
    outputs of half the batch change when the other half is left out. Both root mean squares, relative to
    the outputs' own spread; about 0 for a model whose dropout and batch norm obey `eval()`.
    """
    half = max(1, len(inputs) // 2)
    model.eval()
    with torch.no_grad():
        first, second = checked(model(inputs)), checked(model(inputs))
        alone = checked(model(inputs[:half]))
    model.train()
    spread = float(first.float().std(correction=0))
    if not spread > 0:
        return {"evaluation_jitter": 0.0, "batch_dependence": 0.0}
    return {
        "evaluation_jitter": _distance(first, second) / spread,
        "batch_dependence": _distance(first[:half], alone) / spread,
    }


def _distance(left: Tensor, right: Tensor) -> float:
    return float((left.float() - right.float()).square().mean().sqrt())
