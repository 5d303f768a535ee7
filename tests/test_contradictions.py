"""Settings that can't go together are refused when a study is created."""

from typing import Any

import pytest

from hpsearch.errors import InvalidInput
from hpsearch.spec import parse_spec

STUDY: dict[str, Any] = {
    "name": "one",
    "task": {"dataset": "digits", "model": "mlp"},
    "method": "grid",
    "space": {"learning_rate": [0.1, 0.01]},
}


def problems(**changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_spec({**STUDY, **changes})
    return {p.pointer: p.detail for p in caught.value.problems}


RESNET = {"dataset": "digits", "model": "resnet18"}


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"fixed": {"ema_decay": 1.0}}, "/fixed/ema_decay", ["not between 0 and 0.999999"]),
        ({"fixed": {"normalization": "bach"}}, "/fixed/normalization", ["'batch'"]),
        ({"fixed": {"dropconect": 0.1}}, "/fixed/dropconect", ["'dropconnect'"]),
        ({"fixed": {"dropconnect": 1.0}}, "/fixed/dropconnect", ["not between"]),
        ({"fixed": {"train_fraction": 0}}, "/fixed/train_fraction", ["not between"]),
        ({"fixed": {"accumulate": 65}}, "/fixed/accumulate", ["more parts than the 64 samples"]),
        ({"fixed": {"accumulate": 8}, "space": {"batch_size": [4, 64]}}, "/fixed/accumulate", ["the 4 samples"]),
        ({"fixed": {"base_batch_size": 32}}, "/fixed/base_batch_size", ["lr_scaling to linear or sqrt"]),
        ({"fixed": {"snapshots": 11}}, "/fixed/snapshots", ["the 10 evaluations"]),
        ({"fixed": {"snapshots": 3}, "space": {"epochs": [2, 5]}}, "/fixed/snapshots", ["the 2 evaluations"]),
        ({"fixed": {"snapshots": 16}, "method": "recipe"}, "/fixed/snapshots", ["the 15 evaluations"]),
        ({"fixed": {"pooling": "fractional"}}, "/fixed/pooling", ["for cnn"]),
        ({"fixed": {"decay_biases": True}}, "/fixed/decay_biases", ["weight_decay or l1"]),
        ({"fixed": {"normalization": "batch", "batch_size": 1}}, "/fixed/normalization", ["at least 2"]),
        ({"fixed": {"num_workers": 2}}, "/fixed/num_workers", ["digits, which is held in memory"]),
        ({"fixed": {"prefetch_factor": 2}}, "/fixed/prefetch_factor", ["set num_workers"]),
        ({"fixed": {"num_worker": 2}}, "/fixed/num_worker", ["'num_workers'"]),
        ({"fixed": {"stochastic_depth": 0.2}}, "/fixed/stochastic_depth", ["mlp has none"]),
        ({"space": {"stochastic_dept": [0, 0.2]}}, "/space/stochastic_dept", ["'stochastic_depth'"]),
        ({"task": {"dataset": "digits", "model": "vgg11"}, "space": {"stochastic_depth": [0, 0.2]}}, "/space/stochastic_depth", ["vgg11 has none"]),
        ({"task": RESNET, "fixed": {"freeze_layers": 2}}, "/fixed/freeze_layers", ["give the task weights"]),
        ({"fixed": {"freeze_layer": 2}}, "/fixed/freeze_layer", ["'freeze_layers'"]),
        ({"task": {**STUDY["task"], "weights": "DEFAULT"}}, "/task/weights", ["no weights DEFAULT for mlp"]),
        ({"task": {**RESNET, "weights": "../w.pt"}}, "/task/weights", ["inside the worker's data folder"]),
        ({"task": {**RESNET, "weights": "w.pkl"}}, "/task/weights", [".safetensors, .pt or .pth"]),
        ({"fixed": {"backbone_lr_factor": 2}}, "/fixed/backbone_lr_factor", ["not between 1e-06 and 1"]),
        ({"task": RESNET, "fixed": {"normalization": "layer"}}, "/fixed/normalization", ["mlp and cnn"]),
        ({"fixed": {"target_scaling": "standardized"}}, "/fixed/target_scaling", ["digits has classes"]),
        ({"task": RESNET, "space": {"dropconnect": [0.0, 0.5]}}, "/space/dropconnect", ["resnet18"]),
    ],
)  # fmt: skip
def test_a_contradiction_is_named_where_it_stands(
    changes: dict[str, Any], pointer: str, words: list[str]
) -> None:
    found = problems(**changes)
    assert list(found) == [pointer]
    assert all(word in found[pointer] for word in words), found[pointer]


def test_settings_that_go_together_are_taken() -> None:
    assert parse_spec({**STUDY, "task": RESNET, "fixed": {"stochastic_depth": 0.2}})
    tuned = {**RESNET, "weights": "IMAGENET1K_V1"}
    assert parse_spec({**STUDY, "task": tuned, "fixed": {"freeze_layers": -1, "backbone_lr_factor": 0.1}})
    fixed = {
        "accumulate": 4, "lr_scaling": "linear", "base_batch_size": 32, "decay_biases": True, "l1": 1e-4,
        "normalization": "batch", "dropconnect": 0.2, "ema_decay": 0.99, "patience": 3,
    }  # fmt: skip
    assert parse_spec({**STUDY, "fixed": fixed}).hyperparameters()["accumulate"] == 4
