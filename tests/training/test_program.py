import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.records import Budget, FailureReason, Program
from hpsearch.spec import Objective
from hpsearch.tasks import FileTask, NamedTask
from hpsearch.training.program import run_program
from hpsearch.wire import Assignment
from tests.training.bench import Bench, digits, never

TASK = """
import torch
from torch import nn
from hpsearch.training import Data, Task

class Mine(Task):
    knobs = {"width": {"low": 4, "high": 64, "type": "int", "default": 16}}
    metric = "accuracy"

    def data(self, params, seed):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(300, 5, generator=generator)
        y = (x[:, 0] > 0).long()
        return Data((x[:200], y[:200]), (x[200:], y[200:]))

    def model(self, params):
        return nn.Sequential(nn.Linear(5, int(params["width"])), nn.ReLU(), nn.Linear(int(params["width"]), 2))
"""


def file_task(folder: Path, source: str = TASK, name: str = "task.py", class_name: str = "Mine") -> FileTask:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return FileTask(file=name, class_name=class_name, sha256=hashlib.sha256(source.encode()).hexdigest())


def training(task: FileTask | NamedTask, **params: Any) -> Assignment:
    return Assignment(task=task, params=params, program=Program(kind="train"), budget=Budget(epochs=3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tasks"


def test_a_users_task_is_trained_with_its_own_knobs(bench: Bench, folder: Path) -> None:
    task = file_task(folder)
    outcome, curves = bench.run(training(task, learning_rate=0.1, momentum=0.9), tasks_dir=folder)
    assert outcome.state == "completed"
    assert outcome.value is not None
    assert outcome.value > 0.8
    _, wide = bench.run(training(task, learning_rate=0.1, momentum=0.9, width=64), tasks_dir=folder)
    assert wide["loss"] != curves["loss"]
    assert bench.run(training(task, learning_rate=0.1, momentum=0.9), tasks_dir=folder)[1] == curves


def test_a_task_may_import_what_lies_beside_it(bench: Bench, folder: Path) -> None:
    (folder / "api").mkdir(parents=True)
    (folder / "api" / "__init__.py").write_text("WIDTH = 7\n")
    source = TASK.replace("import torch\n", "import api\nimport torch\nassert api.WIDTH == 7\n", 1)
    # In a process of its own, a user's module `api` comes before this project's.
    saved = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "api"}
    for name in saved:
        del sys.modules[name]
    try:
        outcome, _ = bench.run(training(file_task(folder, source)), tasks_dir=folder)
    finally:
        sys.modules.pop("api", None)
        sys.modules.update(saved)
    assert outcome.state == "completed", outcome.message


def test_without_a_tasks_folder_no_file_is_run(bench: Bench, folder: Path) -> None:
    outcome, _ = bench.run(training(file_task(folder)))
    assert outcome.reason is FailureReason.TASK_NOT_ALLOWED
    assert "--tasks" in outcome.message


def test_a_changed_file_is_refused_before_it_runs(bench: Bench, folder: Path) -> None:
    task = file_task(folder)
    (folder / "task.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n" + TASK)
    outcome, _ = bench.run(training(task), tasks_dir=folder)
    assert outcome.reason is FailureReason.TASK_NOT_ALLOWED
    assert task.sha256[:12] in outcome.message
    assert not (folder / "ran").exists()


def test_links_out_of_the_folder_are_refused(bench: Bench, folder: Path, tmp_path: Path) -> None:
    task = file_task(tmp_path / "elsewhere")
    folder.mkdir()
    (folder / "task.py").symlink_to(tmp_path / "elsewhere" / "task.py")
    assert bench.run(training(task), tasks_dir=folder)[0].reason is FailureReason.TASK_NOT_ALLOWED
    (folder / "sub").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    below = task.model_copy(update={"file": "sub/task.py"})
    assert bench.run(training(below), tasks_dir=folder)[0].reason is FailureReason.TASK_NOT_ALLOWED
    # The wire refuses such a name; a forged record must not get through either.
    above = task.model_copy(update={"file": "../elsewhere/task.py"})
    assert bench.run(training(above), tasks_dir=folder)[0].reason is FailureReason.TASK_NOT_ALLOWED


def test_a_missing_file_says_where_it_was_looked_for(bench: Bench, folder: Path) -> None:
    task = file_task(folder)
    (folder / "task.py").unlink()
    outcome, _ = bench.run(training(task), tasks_dir=folder)
    assert outcome.reason is FailureReason.TASK_NOT_ALLOWED
    assert str(folder) in outcome.message


def test_a_missing_class_names_the_nearest(bench: Bench, folder: Path) -> None:
    outcome, _ = bench.run(training(file_task(folder, class_name="Mime")), tasks_dir=folder)
    assert outcome.reason is FailureReason.ERROR
    assert "did you mean 'Mine'" in outcome.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def model(self, params):", "def model(self, params):\n        1 / 0\n", "ZeroDivisionError"),
        ("def data(self, params, seed):", "def data(self, params, seed):\n        exit(3)\n", "SystemExit"),
        ("class Mine(Task)", "class Mine", "subclass of hpsearch.training.Task"),
        ("import torch\n", "import torch\nimport no_such_module\n", "no_such_module"),
        ("class Mine", "class Mine class", "SyntaxError"),
        ("nn.Linear(5,", "nn.Linear(6,", "RuntimeError"),
        ("def model", "def no_model", "needs a method model"),
        ("(x[200:], y[200:])", "(x[200:], y)", "100 inputs and 300 targets"),
        ("return nn", 'raise ValueError("long " * 100_000)\n        return nn', "long long"),
        ('metric = "accuracy"', 'metric = "acuracy"', "did you mean 'accuracy'"),
    ],
)
def test_a_users_fault_is_one_sentence_and_the_users_own_lines(
    bench: Bench, folder: Path, old: str, new: str, message: str
) -> None:
    source = TASK.replace(old, new, 1)
    outcome, _ = bench.run(training(file_task(folder, source)), tasks_dir=folder)
    assert (outcome.state, outcome.reason) == ("failed", FailureReason.ERROR)
    first, *rest = outcome.message.splitlines()
    assert message in first
    assert len(rest) <= 12
    assert "site-packages" not in outcome.message
    assert not any("hpsearch/training" in line for line in rest)


def test_the_failing_line_is_shown(bench: Bench, folder: Path) -> None:
    source = TASK.replace("y = (x[:, 0] > 0).long()", 'y = {}["labels"]')
    outcome, _ = bench.run(training(file_task(folder, source)), tasks_dir=folder)
    assert "KeyError" in outcome.message.splitlines()[0]
    assert 'y = {}["labels"]' in outcome.message


def test_an_objective_that_is_not_reported_fails_before_training(bench: Bench) -> None:
    outcome, curves = bench.run(digits(epochs=1, objective=Objective(metric="val_f1")))
    assert outcome.reason is FailureReason.ERROR
    assert "val_f1" in outcome.message
    assert "val_accuracy" in outcome.message
    assert curves == {}


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory: 9")],
)
def test_out_of_memory_is_told_apart(bench: Bench, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr("hpsearch.training.named.build_model", full)
    outcome, _ = bench.run(digits(epochs=1))
    assert (outcome.state, outcome.reason) == ("failed", FailureReason.OOM)


def test_missing_data_are_an_error_with_a_remedy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise RuntimeError("offline")

    monkeypatch.setattr("torchvision.datasets.MNIST.download", no_network)
    outcome, _ = bench.run(training(NamedTask(dataset="mnist", model="mlp")))
    assert (outcome.state, outcome.reason) == ("failed", FailureReason.ERROR)
    assert "mnist" in outcome.message
    assert "--data" in outcome.message


def test_curves_up_to_a_failure_are_told(bench: Bench, folder: Path) -> None:
    source = TASK + (
        "\n    def augment(self, x, generator):\n"
        "        self.seen = getattr(self, 'seen', 0) + 1\n"
        "        if self.seen > 12: raise ValueError('enough')\n"
        "        return x\n"
    )
    assignment = training(file_task(folder, source), batch_size=10)
    outcome, curves = bench.run(assignment, tasks_dir=folder)
    assert "enough" in outcome.message
    assert curves["loss"].steps == tuple(range(1, 11))


def test_augmentation_is_seeded_per_step_and_leaves_evaluation_alone(bench: Bench, folder: Path) -> None:
    noisy = TASK + (
        "\n    def augment(self, x, generator):\n"
        "        return x + torch.randn(x.shape, generator=generator)\n"
    )
    plain, _ = bench.run(training(file_task(folder, TASK, "plain.py"), learning_rate=1e-8), tasks_dir=folder)
    task = file_task(folder, noisy)
    first, curves = bench.run(training(task, learning_rate=1e-8), tasks_dir=folder)
    _, same = bench.run(training(task, learning_rate=1e-8), tasks_dir=folder)
    assert curves == same
    assert first.metrics["loss"] != plain.metrics["loss"]
    assert first.metrics["train_loss"] == pytest.approx(plain.metrics["train_loss"], rel=1e-5)


def test_a_dataset_trains_like_the_tensors_it_holds(bench: Bench, folder: Path) -> None:
    source = TASK.replace(
        "Data((x[:200], y[:200]), (x[200:], y[200:]))",
        "Data(TensorDataset(x[:200], y[:200]), TensorDataset(x[200:], y[200:]))",
    ).replace("import torch\n", "import torch\nfrom torch.utils.data import TensorDataset\n", 1)
    _, tensors = bench.run(training(file_task(folder, TASK, "a.py"), learning_rate=0.1), tasks_dir=folder)
    outcome, dataset = bench.run(
        training(file_task(folder, source, "b.py"), learning_rate=0.1), tasks_dir=folder
    )
    assert outcome.state == "completed", outcome.message
    assert dataset["loss"] == tensors["loss"]
    program = Program(kind="train", subset_batches=2, stop_when_fit=True)
    subset = training(file_task(folder, source, "b.py"), preprocessing="standardized")
    outcome, _ = bench.run(subset.model_copy(update={"program": program}), tasks_dir=folder)
    assert outcome.measurements["train_size"] == 128
    check = subset.model_copy(update={"program": Program(kind="check"), "budget": None})
    outcome, _ = bench.run(check, tasks_dir=folder)
    assert outcome.measurements["expected_loss"] == pytest.approx(math.log(2), rel=1e-4)


def test_conflicting_labels_are_counted(bench: Bench, folder: Path) -> None:
    source = TASK.replace(
        "return Data(", "x[:6] = x[0]; y[:6] = torch.tensor([0, 0, 0, 0, 1, 1]); return Data("
    )
    program = Program(kind="train", subset_batches=10)
    assignment = training(file_task(folder, source)).model_copy(update={"program": program})
    outcome, _ = bench.run(assignment, tasks_dir=folder)
    assert outcome.measurements["conflicts"] == 2


def test_what_the_caller_gave_may_raise_through(bench: Bench) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_program(digits(epochs=1), bench.place, lambda _: None, interrupted)
    assert not torch.are_deterministic_algorithms_enabled()
    assert bench.run(digits(epochs=1), never)[0].state == "completed"
