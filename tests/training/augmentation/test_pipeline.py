"""Augmentation in training: seeded by step, never in evaluation, refused where it can't be applied."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

from hpsearch.errors import TrialError
from hpsearch.records import Budget, Outcome, Program
from hpsearch.tasks import FileTask
from hpsearch.training.augmentation.pipeline import build_augmentation
from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE
from hpsearch.training.preprocessing import fit_preprocessing
from hpsearch.vocabulary import AUGMENTATIONS, HYPERPARAMETERS, hyperparameters
from hpsearch.wire import Assignment
from tests.training.bench import Bench, StopAt, digits

EVERYTHING: dict[str, Any] = {
    "flip": 0.5, "crop_padding": 1, "resized_crop": 0.5, "scale_jitter": 0.2, "color_jitter": 0.3,
    "pca_color": 0.1, "randaugment_n": 1, "randaugment_m": 5, "cutout": 2, "random_erasing": 0.3,
}  # fmt: skip
EACH = [{name: value} for name, value in EVERYTHING.items() if name != "randaugment_m"]


def test_every_augmentation_is_off_by_default() -> None:
    assert all(HYPERPARAMETERS[name].default == 0 for name in AUGMENTATIONS)
    assert build_augmentation(hyperparameters({}), torch.rand(4, 3, 8, 8), None) is None


@pytest.mark.parametrize("change", [*EACH, {"mixup": 0.2}, {"cutmix": 1.0}], ids=lambda c: next(iter(c)))
def test_each_changes_training_batches_and_not_evaluation(bench: Bench, change: dict[str, Any]) -> None:
    _, plain = bench.run(digits(steps=1, model="cnn", channels=2, learning_rate=1e-8))
    outcome, changed = bench.run(digits(steps=1, model="cnn", channels=2, learning_rate=1e-8, **change))
    assert outcome.state == "completed", outcome.message
    assert changed["loss"] != plain["loss"]
    for name in ("train_loss", "val_loss"):
        assert changed[name].values == pytest.approx(plain[name].values, rel=1e-5)


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}], ids=["mixup", "cutmix"])
def test_an_augmented_run_resumes_bit_for_bit(bench: Bench, mixing: dict[str, Any]) -> None:
    wanted = digits(epochs=2, model="cnn", channels=2, test_time="flip", **EVERYTHING, **mixing)
    straight, whole = bench.run(wanted)
    assert straight.state == "completed", straight.message
    best = (bench.place.work_dir / BEST_FILE).read_bytes()
    stopped, before = bench.run(wanted, StopAt(2))
    assert stopped.state == "released"
    resumed, after = bench.run(wanted, start=bench.place.work_dir / LAST_FILE)
    assert 0 < stopped.steps < straight.steps == stopped.steps + resumed.steps
    for name in ("loss", "val_loss", "val_accuracy"):
        joined = (before[name].values if name in before else ()) + after[name].values
        assert joined == whole[name].values
    assert (bench.place.work_dir / BEST_FILE).read_bytes() == best


def test_test_time_views_average_validation_and_test_but_not_training(bench: Bench) -> None:
    program = Program(kind="train", test=True)
    shared = {"model": "cnn", "channels": 4, "epochs": 2, "learning_rate": 0.05, "program": program}
    plain, single = bench.run(digits(**shared))
    for name in ("flip", "five_crop", "ten_crop"):
        averaged, curves = bench.run(digits(**shared, test_time=name))
        assert averaged.state == "completed", averaged.message
        assert (curves["loss"], curves["train_loss"]) == (single["loss"], single["train_loss"])
        assert curves["val_loss"] != single["val_loss"]
        assert averaged.metrics["test_loss"] != plain.metrics["test_loss"]


def test_augmentation_sees_pixels_and_gives_preprocessed_inputs() -> None:
    """Crops fill with black as pixels are, whatever the preprocessing; nothing else of them changes."""
    pixels = torch.rand(8, 3, 6, 6, generator=Generator().manual_seed(1))
    scaled = fit_preprocessing("standardized", pixels)
    assert scaled is not None
    for change in ({"crop_padding": 2}, {"flip": 0.5}, {"color_jitter": 0.5}, {"scale_jitter": 0.5}):
        params = hyperparameters({}, change)
        raw = build_augmentation(params, pixels, None)
        whole = build_augmentation(params, scaled(pixels), scaled)
        assert raw is not None
        assert whole is not None
        expected = scaled(raw(pixels, Generator().manual_seed(2)))
        found = whole(scaled(pixels), Generator().manual_seed(2))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_cutout_leaves_the_mean_behind() -> None:
    pixels = torch.rand(8, 1, 6, 6, generator=Generator().manual_seed(1))
    scaled = fit_preprocessing("standardized", pixels)
    assert scaled is not None
    cut = build_augmentation(hyperparameters({}, {"cutout": 11}), scaled(pixels), scaled)
    assert cut is not None
    found = scaled.undo(cut(scaled(pixels), Generator().manual_seed(1)))
    erased = (found - pixels).abs() > 1e-5
    torch.testing.assert_close(found[erased], pixels.mean().expand(int(erased.sum())))


@pytest.mark.parametrize(
    ("change", "inputs", "words"),
    [
        ({"flip": 0.5}, torch.rand(4, 5), "flip changes images"),
        ({"test_time": "flip"}, torch.rand(4, 5), "test_time changes images"),
        ({"cutmix": 1.0}, torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "floating-point pixels"),
        ({"color_jitter": 0.5}, torch.rand(4, 2, 8, 8), "grey or RGB"),
        ({"randaugment_n": 1}, torch.rand(4, 3, 8, 8) * 255, r"pixels in \[0, 1\]"),
        ({"color_jitter": 0.5}, torch.rand(4, 3, 8, 8) - 0.5, r"pixels in \[0, 1\]"),
        ({"pca_color": 0.1}, torch.rand(4, 5, 8, 8) * 255, r"pixels in \[0, 1\]"),
        ({"crop_padding": 8}, torch.rand(4, 3, 8, 9), "less than the 8 pixels"),
        ({"cutout": 16}, torch.rand(4, 3, 8, 9), "erase whole images"),
    ],
)
def test_inputs_that_cant_be_augmented_are_named(
    change: dict[str, Any], inputs: torch.Tensor, words: str
) -> None:
    with pytest.raises(TrialError, match=words):
        build_augmentation(hyperparameters({}, change), inputs, None)


OWN = """
import torch
from torch import nn
from hpsearch.training import Data, Task

class Mine(Task):
    knobs = {}
    metric = "accuracy"

    def data(self, params, seed):
        x = torch.rand(90, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        y = (x.mean((1, 2, 3)) > 0.5).long()
        return Data((x[:60], y[:60]), (x[60:], y[60:]))

    def model(self, params):
        return nn.Sequential(nn.Flatten(), nn.Linear(108, 2))
"""
REGRESSION = OWN.replace('"accuracy"', '"mse"').replace(
    "(x.mean((1, 2, 3)) > 0.5).long()", "x.mean((1, 2, 3))"
)
OWN_FLIP = OWN.replace("{}", '{"flip": {"choices": ["none", "up"], "default": "up"}}')


def run_own(bench: Bench, folder: Path, source: str, **params: Any) -> Outcome:
    folder.mkdir(exist_ok=True)
    (folder / "task.py").write_text(source)
    digest = hashlib.sha256(source.encode()).hexdigest()
    task = FileTask(file="task.py", class_name="Mine", sha256=digest)
    assignment = Assignment(
        task=task, params={"batch_size": 20, **params}, program=Program(kind="train"), budget=Budget(epochs=1)
    )
    return bench.run(assignment, tasks_dir=folder)[0]


def test_a_users_own_images_are_augmented(bench: Bench, tmp_path: Path) -> None:
    outcome = run_own(bench, tmp_path / "t", OWN, **{**EVERYTHING, "mixup": 0.3, "test_time": "ten_crop"})
    assert (outcome.state, outcome.message) == ("completed", "")


def test_a_users_regression_is_not_mixed(bench: Bench, tmp_path: Path) -> None:
    # The metric tells where the user's loss does not say what it is.
    source = REGRESSION.replace("    metric", "    defaults = {}\n    metric")
    outcome = run_own(bench, tmp_path / "t", source, mixup=0.3)
    assert outcome.state == "failed"
    assert "mixup mixes class labels, and this task is a regression" in outcome.message
    outcome = run_own(bench, tmp_path / "t", OWN, mixup=0.3, cutmix=1.0)
    assert "can't both be on" in outcome.message


def test_a_tasks_own_knob_of_the_same_name_is_its_own_business(bench: Bench, tmp_path: Path) -> None:
    outcome = run_own(bench, tmp_path / "t", OWN_FLIP)
    assert (outcome.state, outcome.message) == ("completed", "")
