"""The trainer beside a bare hand-written PyTorch loop on the same work: what monitoring costs.

Both train on digits with the same batch size, optimizer (fused, the fastest on a CPU) and thread, and evaluate
training and validation data after each epoch. The bare loop records the loss of each epoch and nothing else. Repetitions alternate, so
that a slow moment hits both; medians are compared. Run: python benchmarks/trainer.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hpsearch.records import Budget, Program
from hpsearch.space import Params
from hpsearch.tasks import NamedTask
from hpsearch.training.named import DatasetModel
from hpsearch.training.prepared import Prepared, prepare
from hpsearch.training.program import Place, all_hyperparameters, run_program
from hpsearch.training.seeds import Seeds, reproducible
from hpsearch.wire import Assignment

REPETITIONS = 7
Result = TypeVar("Result")
WORK: dict[str, tuple[str, int, Params]] = {
    "digits mlp, sgd": ("mlp", 30, {"momentum": 0.9, "learning_rate": 0.05}),
    "digits mlp, adamw": ("mlp", 20, {"optimizer": "adamw", "learning_rate": 1e-3}),
    "digits cnn, sgd": ("cnn", 3, {"momentum": 0.9, "learning_rate": 0.05}),
}


def main() -> None:
    print(
        f"torch {torch.__version__}, 1 thread, batch 64, medians of {REPETITIONS} alternating repetitions\n"
    )
    print(
        f"{'work':18} {'steps':>5} {'bare loop':>12} {'trainer':>12} {'ratio':>6} {'no monitors':>12} {'ratio':>6}"
        f" {'set-up and end':>15}"
    )
    for name, (model, epochs, params) in WORK.items():
        steps, bare, trainer, unmonitored, around = compare(model, epochs, params)
        micro = [f"{seconds / steps * 1e6:.0f} us/step" for seconds in (bare, trainer, unmonitored)]
        print(
            f"{name:18} {steps:5} {micro[0]:>12} {micro[1]:>12} {trainer / bare:6.3f}"
            f" {micro[2]:>12} {unmonitored / bare:6.3f} {around * 1e3:12.1f} ms"
        )


def compare(model: str, epochs: int, params: Params) -> tuple[int, float, float, float, float]:
    """Steps, and median seconds of: the bare loop, the trainer's loop with its monitors and without
    them, and what a trial takes around its loop (data, model, features of the curve, the snapshot's file)."""
    assignment = Assignment(
        task=NamedTask(dataset="digits", model=model),
        params=params,
        program=Program(kind="train"),
        budget=Budget(epochs=epochs),
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Place("cpu", Path(folder), Path(folder), None)

        def trainer(monitors: bool) -> float:
            work_dir = Path(tempfile.mkdtemp(dir=folder))  # as each run of a worker has its own
            outcome = run_program(
                assignment.model_copy(update={"params": {**params, "monitors": monitors}}),
                replace(place, work_dir=work_dir),
                lambda _: None,
                lambda: False,
            )
            seconds = outcome.measurements["seconds"]
            assert isinstance(seconds, float)
            return seconds

        task = DatasetModel("digits", model, "accuracy", place.data_dir)
        with reproducible("cpu", threads=1):
            everything = all_hyperparameters(task, assignment)
            prepared = prepare(task, everything, assignment.program, Seeds(0, 0), "cpu")
            bare, loop, unmonitored, whole = [], [], [], []
            for _ in range(REPETITIONS + 1):
                bare.append(timed(lambda: bare_loop(prepared, epochs))[0])
                seconds, loop_seconds = timed(lambda: trainer(True))
                loop.append(loop_seconds)
                whole.append(seconds)
                unmonitored.append(trainer(False))
    # The first repetition warms both up.
    medians = [statistics.median(seconds[1:]) for seconds in (bare, loop, unmonitored, whole)]
    return epochs * prepared.steps_per_epoch, *medians[:3], medians[3] - medians[1]


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def bare_loop(prepared: Prepared, epochs: int) -> list[float]:
    """What one writes by hand: shuffled minibatches, forward, backward, step; evaluation after each epoch."""
    inputs, targets = prepared.train.take(torch.arange(prepared.train.count))
    val_inputs, val_targets = prepared.validation.take(torch.arange(prepared.validation.count))
    model = prepared.new_model()
    optimizer = _optimizer(model, prepared.params)
    validation_losses = []
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(inputs))
        for i in range(prepared.steps_per_epoch):
            batch = order[i * 64 : (i + 1) * 64]
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs[batch]), targets[batch])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in ((inputs, targets), (val_inputs, val_targets)):
                outputs = model(x)
                accuracy = (outputs.argmax(1) == y).float().mean().item()
                evaluated = cross_entropy(outputs, y).item()
        validation_losses.append(evaluated)
        assert accuracy >= 0
    return validation_losses


def _optimizer(model: nn.Module, params: Params) -> torch.optim.Optimizer:
    rate = float(params["learning_rate"])
    if params["optimizer"] == "adamw":
        return torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0, fused=True)
    return torch.optim.SGD(model.parameters(), rate, momentum=float(params["momentum"]), fused=True)


if __name__ == "__main__":
    main()
