import math

import pytest
import torch
from torch import Tensor

from hpsearch.errors import TrialError
from hpsearch.training.losses import build_loss
from hpsearch.vocabulary import LOSSES

OUTPUTS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.25]], dtype=torch.float64)
LABELS = torch.tensor([2, 0])
ONE_HOT = torch.tensor([[0.0, 0, 1], [1, 0, 0]], dtype=torch.float64)


def log_softmax(row: Tensor) -> list[float]:
    total = math.log(sum(math.exp(v) for v in row.tolist()))
    return [v - total for v in row.tolist()]


def by_hand(name: str, outputs: Tensor, labels: Tensor) -> float:
    rows = []
    for row, label in zip(outputs, labels.tolist(), strict=True):
        s = row.tolist()
        hot = [float(j == label) for j in range(len(s))]
        match name:
            case "cross_entropy":
                rows.append(-log_softmax(row)[label])
            case "multiclass_hinge":
                rows.append(sum(max(0.0, 1 - s[label] + v) for j, v in enumerate(s) if j != label))
            case "binary_cross_entropy":
                rows.append(
                    -sum(math.log(1 / (1 + math.exp(-v if h else v))) for v, h in zip(s, hot, strict=True))
                    / len(s)
                )
            case "mse":
                rows.append(sum((v - h) ** 2 for v, h in zip(s, hot, strict=True)) / len(s))
            case "mae":
                rows.append(sum(abs(v - h) for v, h in zip(s, hot, strict=True)) / len(s))
    return sum(rows) / len(rows)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_equals_its_formula(name: str) -> None:
    loss = build_loss(name)(OUTPUTS, LABELS)
    assert float(loss) == pytest.approx(by_hand(name, OUTPUTS, LABELS), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_has_the_gradient_of_its_formula(name: str) -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda o: build_loss(name)(o, LABELS), (outputs,))


@pytest.mark.parametrize("name", ["cross_entropy", "multiclass_hinge"])
def test_label_smoothing_mixes_in_the_mean_over_all_labels(name: str) -> None:
    smooth = float(build_loss(name, 0.3)(OUTPUTS, LABELS))
    any_label = sum(by_hand(name, OUTPUTS, torch.tensor([k, k])) for k in range(3)) / 3
    assert smooth == pytest.approx(0.7 * by_hand(name, OUTPUTS, LABELS) + 0.3 * any_label, rel=1e-12)


def test_binary_smoothing_moves_targets_to_one_half() -> None:
    smooth = build_loss("binary_cross_entropy", 0.2)(OUTPUTS, ONE_HOT)
    moved = build_loss("binary_cross_entropy")(OUTPUTS, ONE_HOT * 0.8 + 0.1)
    assert float(smooth) == pytest.approx(float(moved), rel=1e-12)


def test_zero_outputs_score_what_the_recipe_expects() -> None:
    zeros = torch.zeros(4, 10)
    labels = torch.tensor([0, 3, 9, 1])
    assert float(build_loss("cross_entropy")(zeros, labels)) == pytest.approx(math.log(10))
    assert float(build_loss("multiclass_hinge")(zeros, labels)) == pytest.approx(9)
    assert float(build_loss("binary_cross_entropy")(zeros, labels)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", ["mse", "mae", "binary_cross_entropy"])
def test_one_output_column_goes_with_a_vector_of_targets(name: str) -> None:
    column, vector = torch.tensor([[0.2], [0.9]]), torch.tensor([0.0, 1.0])
    assert float(build_loss(name)(column, vector)) == float(build_loss(name)(column, vector[:, None]))


def test_shapes_that_do_not_go_together_are_named() -> None:
    with pytest.raises(TrialError, match=r"\(2, 3\).*\(2, 4\)"):
        build_loss("mse")(torch.zeros(2, 3), torch.zeros(2, 4))


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(TrialError, match="did you mean 'cross_entropy'"):
        build_loss("crossentropy")
