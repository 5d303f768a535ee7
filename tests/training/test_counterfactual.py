"""What a diagnosis changes in any model: capacity beside it, dropout switched off."""

import pytest
import torch
from torch import nn

from hpsearch.errors import TrialError
from hpsearch.training.counterfactual import enlarged, largest_dropout, training_jitter, without_dropout


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
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = mlp(), nn.BatchNorm1d(3)
            self.cell = nn.GRU(3, 3, num_layers=2, dropout=0.4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = nn.functional.dropout(self.norm(self.first(x)), 0.5, self.training)
            out: torch.Tensor = self.cell(found)[0]
            return out

    inputs = torch.randn(32, 6)
    assert largest_dropout(Model()) == 0.7
    assert training_jitter(Model(), inputs) > 0.1
    quiet = without_dropout(Model()).eval().train()
    assert training_jitter(quiet, inputs) < 1e-5
    assert quiet.norm.training
    assert quiet.cell.training
