"""What a diagnosis changes in any model: capacity beside it, dropout switched off."""

import pytest
import torch
from torch import nn

from hpsearch.errors import TrialError
from hpsearch.training.counterfactual import enlarged, largest_dropout, without_dropout


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Dropout(0.7), nn.Linear(4, 3))


def test_partners_are_silent_at_first_and_learn_from_the_first_step() -> None:
    torch.manual_seed(0)
    inputs, model = torch.randn(8, 6), mlp()
    grown = enlarged(model, [mlp(), mlp()], inputs).eval()
    assert torch.equal(grown(inputs), model.eval()(inputs))
    nn.functional.cross_entropy(grown(inputs), torch.zeros(8, dtype=torch.long)).backward()
    outside = [p for name, p in grown.named_parameters() if not name.startswith("model.")]
    assert len(outside) == 2 * 4 + 4
    assert sum(p.grad is not None and bool(p.grad.any()) for p in outside) >= 6


def test_token_inputs_get_copies_alone() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(20, 5), nn.Linear(5, 2)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.table(ids).mean(1))
            return out

    ids = torch.randint(0, 20, (4, 7))
    grown = enlarged(Words(), [Words()], ids)
    assert grown(ids).shape == (4, 2)
    assert grown.side is None


def test_vector_outputs_keep_their_shape() -> None:
    model = nn.Sequential(nn.Linear(6, 1), nn.Flatten(0))
    assert enlarged(model, [], torch.randn(4, 6))(torch.randn(5, 6)).shape == (5,)


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(TrialError, match="linear or convolution"):
        enlarged(nn.Identity(), [], torch.randn(2, 3))


def test_dropout_is_found_and_switched_off_wherever_it_sits() -> None:
    assert largest_dropout(mlp()) == 0.7
    model = nn.ModuleList([mlp(), nn.GRU(3, 3, num_layers=2, dropout=0.4)])
    without_dropout(model)
    assert largest_dropout(model) == 0
    assert isinstance(model[1], nn.GRU)
    assert model[1].dropout == 0
