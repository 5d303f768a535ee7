"""Batches in parts and mixed targets together."""

import torch
from torch import nn

from hpsearch.training.augmentation.mixing import MixedLoss, MixedTargets
from hpsearch.training.gradients import Gradients


def test_a_mixed_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 5, generator=generator)
    targets = MixedTargets(torch.arange(12) % 3, torch.arange(12).flip(0) % 3, 0.3)
    found = []
    for parts in (1, 4):
        model = nn.Linear(5, 3)
        nn.init.constant_(model.weight, 0.1)
        nn.init.zeros_(model.bias)
        loss = Gradients(model, MixedLoss(nn.CrossEntropyLoss()), "float32", "cpu", parts).add(
            inputs, targets
        )
        assert model.weight.grad is not None
        found.append((loss, model.weight.grad))
    torch.testing.assert_close(found[0], found[1])
