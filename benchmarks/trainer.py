"""The trainer beside a bare hand-written PyTorch loop on the same work: what monitoring costs.

Both train on digits with the same batch size, optimizer (fused, the fastest on a CPU) and thread, and evaluate
training and validation data after each epoch. The bare loop records the loss of each epoch and nothing else. Repetitions
alternate; the processor time of the fastest tenth of each is compared, since a neighbour on the machine only adds. Every
repetition holds one look at dead and saturated units, as 24 epochs of 17 steps do. Run: python benchmarks/trainer.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hpsearch.records import Program
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.training.named import DatasetModel
from hpsearch.training.prepared import Prepared, prepare
from hpsearch.training.seeds import Seeds, reproducible
from hpsearch.training.trainer import Plan, Trainer
from hpsearch.vocabulary import hyperparameters

EPOCHS = 24
# Model, repetitions, hyperparameters.
WORK: dict[str, tuple[str, int, Params]] = {
    "digits mlp, sgd": ("mlp", 30, {"momentum": 0.9, "learning_rate": 0.05}),
    "digits mlp, adamw": ("mlp", 30, {"optimizer": "adamw", "learning_rate": 1e-3}),
    "digits cnn, sgd": ("cnn", 6, {"momentum": 0.9, "learning_rate": 0.05}),
}


def main() -> None:
    print(f"torch {torch.__version__}, 1 thread, batch 64, the fastest tenth of alternating repetitions\n")
    print(
        f"{'work':18} {'steps':>5} {'bare loop':>12} {'trainer':>12} {'ratio':>6} {'no monitors':>12} {'ratio':>6}"
    )
    for name, (model, repetitions, params) in WORK.items():
        steps, bare, monitored, plain = compare(model, repetitions, params)
        micro = [f"{seconds / steps * 1e6:.0f} us/step" for seconds in (bare, monitored, plain)]
        print(
            f"{name:18} {steps:5} {micro[0]:>12} {micro[1]:>12} {monitored / bare:6.3f}"
            f" {micro[2]:>12} {plain / bare:6.3f}"
        )


def compare(model: str, repetitions: int, params: Params) -> tuple[int, float, float, float]:
    """Steps, and seconds of: the bare loop, the trainer's with its monitors and without them."""
    with tempfile.TemporaryDirectory() as folder, reproducible("cpu", threads=1):
        task = DatasetModel("digits", model, "accuracy", Path(folder))
        monitored, plain = (
            prepare(
                task, hyperparameters({}, params, {"monitors": on}), Program(kind="train"), Seeds(0, 0), "cpu"
            )
            for on in (True, False)
        )
        times: list[list[float]] = [[], [], []]
        for _ in range(repetitions + 1):
            for seconds, work in zip(times, (bare_loop, train, train), strict=True):
                prepared = monitored if seconds is times[1] else plain
                seconds.append(work(prepared, Path(folder)))
    # The first repetition warms all up.
    bare, with_monitors, without = (statistics.quantiles(seconds[1:], n=10)[0] for seconds in times)
    return EPOCHS * plain.steps_per_epoch, bare, with_monitors, without


def train(prepared: Prepared, folder: Path) -> float:
    """Seconds of the trainer's loop."""
    steps = EPOCHS * prepared.steps_per_epoch
    plan = Plan("", steps, Program(kind="train"), Objective(), folder / "last", keep_last=False)
    trainer = Trainer(prepared, plan, lambda _: None, lambda: False)
    return timed(trainer.run)


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def bare_loop(prepared: Prepared, _: Path) -> float:
    """Seconds of what one writes by hand: shuffled minibatches, forward, backward, step; evaluation after each
    epoch.
    """
    inputs, targets = prepared.train.take(torch.arange(prepared.train.count))
    val_inputs, val_targets = prepared.validation.take(torch.arange(prepared.validation.count))
    model = prepared.new_model()
    optimizer = _optimizer(model, prepared.params)
    data = ((inputs, targets), (val_inputs, val_targets))
    return timed(lambda: _bare_loop(model, optimizer, data, prepared.steps_per_epoch))


def _bare_loop(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[tuple[torch.Tensor, torch.Tensor], ...],
    steps_per_epoch: int,
) -> list[float]:
    inputs, targets = data[0]
    validation_losses = []
    for _ in range(EPOCHS):
        model.train()
        order = torch.randperm(len(inputs))
        for i in range(steps_per_epoch):
            batch = order[i * 64 : (i + 1) * 64]
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs[batch]), targets[batch])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in data:
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
