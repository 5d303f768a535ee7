"""Pictures in torchvision's real layout: small files, read by the library's own reader."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hpsearch.errors import DataUnavailable, InvalidInput
from hpsearch.records import Budget, FailureReason, Outcome, Program
from hpsearch.spec import parse_spec
from hpsearch.tasks import NamedTask
from hpsearch.training.image_folder import picture_classes, picture_parts
from hpsearch.wire import Assignment
from tests.training.bench import Bench


def paint(folder: Path, classes: dict[str, tuple[int, int, int]], count: int, seed: int = 0) -> None:
    """`count` noisy pictures a class, of different sizes, around the class's colour."""
    rng = np.random.default_rng(seed)
    for name, color in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            height, width = rng.integers(9, 20, 2)
            pixels = np.clip(np.array(color) + rng.normal(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{'png' if number % 2 else 'jpg'}")


COLORS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


def trained(bench: Bench, model: str = "cnn", **params: Any) -> tuple[Outcome, Any]:
    return bench.run(
        Assignment(
            task=NamedTask(dataset="image_folder", folder="pictures", model=model),
            params={"image_size": 8, "batch_size": 12, "learning_rate": 0.05, "channels": 4, **params},
            program=Program(kind="train", test=True),
            budget=Budget(epochs=8),
        )
    )


@pytest.fixture
def root(bench: Bench) -> Path:
    return bench.place.data_dir / "pictures"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_of_pictures_is_trained_validated_and_tested(bench: Bench, root: Path, workers: int) -> None:
    paint(root / "train", COLORS, 20)
    paint(root / "val", COLORS, 5, seed=1)
    paint(root / "test", COLORS, 5, seed=2)
    outcome, _ = trained(bench, num_workers=workers, flip=0.5, hue_jitter=0.01)
    assert outcome.state == "completed", outcome.message
    assert outcome.measurements["train_size"] == 60
    assert outcome.measurements["val_size"] == 15
    assert outcome.value == 1.0
    assert outcome.metrics["test_accuracy"] == 1.0


def test_a_picture_is_resized_to_its_shorter_side_and_cropped_to_its_centre(root: Path) -> None:
    paint(root, {"a": (0, 0, 0), "b": (0, 0, 0)}, 1)
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = 255  # the middle third is white
    Image.fromarray(stripes).save(root / "a" / "0.png")
    (root / "a" / "0.jpg").unlink()
    parts = picture_parts(root, 10, seed=0)
    whole = parts.train.dataset  # type: ignore[attr-defined]
    pixels, label = whole[0]
    assert torch.equal(pixels, torch.ones(3, 10, 10))
    assert label == 0


def test_folders_that_are_missing_are_split_off_by_class(root: Path) -> None:
    paint(root, COLORS, 20)
    parts = picture_parts(root, 8, seed=3)
    sets = [part.indices for part in (parts.train, parts.validation, parts.test)]  # type: ignore[union-attr]
    assert [len(indices) for indices in sets] == [48, 6, 6]
    assert sorted(i for indices in sets for i in indices) == list(range(60))
    targets = np.array(parts.train.dataset.targets)  # type: ignore[attr-defined]
    assert [np.bincount(targets[indices]).tolist() for indices in sets] == [[16] * 3, [2] * 3, [2] * 3]
    other = picture_parts(root, 8, seed=4)
    assert other.test.indices == sets[2]  # type: ignore[union-attr]
    assert other.validation.indices != sets[1]  # type: ignore[attr-defined]
    assert picture_classes(root) == ["blue", "green", "red"]


def test_without_a_validation_folder_it_comes_from_the_training_pictures(root: Path) -> None:
    paint(root / "train", COLORS, 10)
    parts = picture_parts(root, 8, seed=0)
    assert (len(parts.train), len(parts.validation), parts.test) == (27, 3, None)  # type: ignore[arg-type]


def test_what_is_wrong_with_a_folder_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="there is no folder of pictures"):
        picture_parts(tmp_path / "nowhere", 8, 0)
    paint(root / "train", COLORS, 2)
    (root / "val" / "red").mkdir(parents=True)
    with pytest.raises(DataUnavailable, match="found no valid file for the classes red"):
        picture_parts(root, 8, 0)
    paint(root / "test", {"red": (1, 1, 1), "rde": (1, 1, 1)}, 1)
    with pytest.raises(DataUnavailable, match="other classes than the training set: blue, green, rde differ"):
        picture_parts(root, 8, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataUnavailable, match="couldn't find any class folder"):
        picture_parts(tmp_path / "empty", 8, 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_named(bench: Bench, root: Path, workers: int) -> None:
    paint(root / "train", COLORS, 8)
    broken = root / "train" / "green" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    outcome, _ = trained(bench, num_workers=workers)
    assert outcome.reason is FailureReason.ERROR
    assert outcome.message.startswith(f"the picture {broken} can't be read: ")
    assert "take it out of the folder" in outcome.message


@pytest.mark.parametrize(
    ("task", "fixed", "pointer", "words"),
    [
        ({"dataset": "image_folder", "model": "cnn"}, {}, "/task", "needs a folder inside the worker's data folder"),
        ({"dataset": "digits", "model": "cnn", "folder": "x"}, {}, "/task", "folder is for image_folder"),
        ({"dataset": "image_folder", "model": "cnn", "folder": "../x"}, {}, "/task/folder", "must lie inside"),
        ({"dataset": "image_folders", "model": "cnn", "folder": "x"}, {}, "/task/dataset", "did you mean 'image_folder'"),
        ({"dataset": "digits", "model": "cnn"}, {"image_size": 32}, "/fixed/image_size", "digits has images of one size"),
        ({"dataset": "image_folder", "model": "cnn", "folder": "x"}, {"image_size": 16, "cutout": 40}, "/fixed/cutout", "images of 16 pixels"),
    ],
)  # fmt: skip
def test_what_contradicts_is_refused_when_the_study_is_made(
    task: dict[str, Any], fixed: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_spec(
            {"name": "a", "task": task, "method": "grid", "space": {"learning_rate": [0.1]}, "fixed": fixed}
        )
    found = {problem.pointer: problem.detail for problem in refused.value.problems}
    assert words in found[pointer], found
