"""Augmentations that contradict a task or each other are refused when a study is created."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.augmentation_rules import image_shape
from hpsearch.errors import InvalidInput
from hpsearch.spec import parse_spec
from hpsearch.training.named import DatasetModel
from hpsearch.vocabulary import DATASETS

CNN = {"dataset": "digits", "model": "cnn"}
STUDY: dict[str, Any] = {
    "name": "a", "task": CNN, "method": "grid", "space": {"weight_decay": [0, 1e-4]},
}  # fmt: skip


def own(metric: str) -> dict[str, Any]:
    return {"kind": "file", "file": "t.py", "class_name": "T", "sha256": "0" * 64, "metric": metric}


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"fixed": {"mixup": 0.2, "loss": "mse"}}, "/fixed/mixup", "can't go with mse"),
        ({"fixed": {"cutmix": 1}, "space": {"loss": ["cross_entropy", "mae"]}}, "/fixed/cutmix", "can't go with mae"),
        ({"fixed": {"mixup": 0.2}, "task": own("mse"), "objective": {"metric": "val_mse"}}, "/fixed/mixup", "can't go with mse"),
        ({"fixed": {"mixup": 0.2, "cutmix": 1}}, "/fixed/cutmix", "can't both be on"),
        ({"space": {"mixup": [0, 0.2], "cutmix": [0, 1]}}, "/space/cutmix", "can't both be on"),
        ({"fixed": {"randaugment_n": 2}, "task": {"dataset": "digits", "model": "mlp"}}, "/fixed/randaugment_n", "vectors of 64 numbers"),
        ({"space": {"flip": [0, 0.5]}, "task": {"dataset": "digits", "model": "mlp"}}, "/space/flip", "vectors of 64 numbers"),
        ({"fixed": {"test_time": "flip"}, "task": {"dataset": "digits", "model": "mlp"}}, "/fixed/test_time", "vectors of 64 numbers"),
        ({"fixed": {"randaugment_n": 1, "randaugment_m": 31}}, "/fixed/randaugment_m", "not a whole number between 0 and 30"),
        ({"fixed": {"randaugment_m": 9}}, "/fixed/randaugment_m", "does nothing unless randaugment_n is at least 1"),
        ({"fixed": {"test_time": "flip", "test_scales": 2}}, "/fixed/test_scales", "does nothing unless test_time is five_crop"),
        ({"fixed": {"hue_jitter": 0.1}}, "/fixed/hue_jitter", "these images are grey"),
        ({"fixed": {"hue_jitter": 0.6}}, "/fixed/hue_jitter", "not between 0 and 0.5"),
        ({"fixed": {"hue_jiter": 0.1}}, "/fixed/hue_jiter", "did you mean 'hue_jitter'"),
        ({"fixed": {"crop_padding": 8}}, "/fixed/crop_padding", "less than the 8 pixels"),
        ({"space": {"cutout": [2, 16]}}, "/space/cutout", "erase whole images of 8 pixels"),
        ({"fixed": {"mixup": -1}}, "/fixed/mixup", "mixup = -1 is not between 0 and 100"),
        ({"fixed": {"randaugment": 2}}, "/fixed/randaugment", "did you mean 'randaugment_"),
        ({"fixed": {"test_time": "tencrop"}}, "/fixed/test_time", "did you mean 'ten_crop'"),
        ({"fixed": {"crop_padding": "four"}}, "/fixed/crop_padding", "must be a number"),
    ],
)  # fmt: skip
def test_a_contradiction_is_named_where_it_stands(changes: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_spec({**STUDY, **changes})
    found = {problem.pointer: problem.detail for problem in caught.value.problems}
    assert words in found[pointer]


@pytest.mark.parametrize(
    "changes",
    [
        {"fixed": {"flip": 0.5, "crop_padding": 1, "randaugment_n": 2, "randaugment_m": 9, "mixup": 0.2}},
        {"fixed": {"mixup": 0.2}, "task": {"dataset": "digits", "model": "mlp"}},
        {"fixed": {"cutmix": 1, "flip": 0.5, "test_time": "ten_crop", "test_scale": 1.2}, "task": own("accuracy")},
        {"fixed": {"randaugment_m": 5}, "space": {"randaugment_n": [0, 1]}},
        {"fixed": {"flip": 0.5}, "task": {"dataset": "mnist", "model": "mlp"}},
        {"fixed": {"flip": "up"}, "task": {**own("accuracy"), "knobs": {"flip": {"axis": {"type": "categorical", "choices": ["up"]}, "default": "up"}}}},
    ],
)  # fmt: skip
def test_what_fits_is_taken(changes: dict[str, Any]) -> None:
    parse_spec({**STUDY, **changes})


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_digits_are_vectors_where_training_makes_them_vectors(model: str, tmp_path: Path) -> None:
    inputs, _ = DatasetModel("digits", model, "accuracy", tmp_path).data({}, 0).train
    assert tuple(inputs.shape[1:]) == image_shape("digits", model)
    assert DATASETS["digits"].shape == (1, 8, 8)
