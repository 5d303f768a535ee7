"""One training run as an outsider sees it: its curves, and per-layer gradients for the anchors' rules."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from hpsearch.records import Program, Series
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.tasks import FileTask
from hpsearch.training import Task
from hpsearch.training.metrics import own_metric
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import reproducible
from hpsearch.wire import Assignment

STRIDE = 10  # backward passes between looks at a gradient
# `run_task` gets the task itself; the assignment must only name one.
NAME = FileTask(file="task.py", class_name="Planted", sha256="0" * 64)


@dataclass(frozen=True)
class LayerGradients:
    """Of one weight tensor, one value for each look: mean and median magnitude, norm, and share of zeros."""

    mean: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)

    def see(self, gradient: Tensor) -> None:
        size = gradient.detach().abs()
        self.mean.append(float(size.mean()))
        self.median.append(float(size.median()))
        self.norm.append(float(size.norm()))
        self.zeros.append(float((size == 0).float().mean()))


@dataclass(frozen=True)
class Run:
    """`curves`: values by metric (loss each step, train_/val_ each epoch). `metric`: the task's own, e.g.
    accuracy. `gradients`: of the weight tensors, in the model's order. `seconds`: wall clock.
    """

    state: str
    metric: str
    curves: Mapping[str, tuple[float, ...]]
    gradients: tuple[LayerGradients, ...]
    steps: int
    seconds: float

    @property
    def diverged(self) -> bool:
        return self.state != "completed" or not math.isfinite(self.last("val_loss"))

    @property
    def higher_is_better(self) -> bool:
        return self.metric.endswith("accuracy")

    def last(self, name: str) -> float:
        """The last value of a curve; NaN without one."""
        values = self.curves.get(name, ())
        return values[-1] if values else math.nan

    @property
    def score(self) -> float:
        """The final validation metric, larger is better; -inf where the run diverged."""
        value = self.last(f"val_{self.metric}")
        if self.diverged or not math.isfinite(value):
            return -math.inf
        return value if self.higher_is_better else -value


def train(task: Task, params: Params, seed: int, *, watch: bool = True) -> Run:
    """Train `task` to the end of its epochs on one CPU thread. `watch`: record gradients too.

    Nothing of the run depends on being watched.
    """
    layers: list[LayerGradients] = []
    watched = _watched(task, layers) if watch else task
    curves: dict[str, list[float]] = {}

    def report(series: Series) -> None:
        for name, points in series.items():
            curves.setdefault(name, []).extend(points.values)

    metric = own_metric(task).name
    direction = "maximize" if metric.endswith("accuracy") else "minimize"
    assignment = Assignment(
        task=NAME,
        params=dict(params),
        program=Program(kind="train"),
        objective=Objective(metric=f"val_{metric}", direction=direction),
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder, reproducible("cpu", 1):
        place = Place("cpu", Path(folder), Path(folder), None)
        outcome = run_task(watched, assignment, place, report, lambda: False)
    seconds = outcome.measurements.get("seconds", math.nan)
    return Run(
        state=outcome.state,
        metric=metric,
        curves={name: tuple(values) for name, values in curves.items()},
        gradients=tuple(layers),
        steps=outcome.steps,
        seconds=seconds if isinstance(seconds, float) else math.nan,
    )


def _watched(task: Task, layers: list[LayerGradients]) -> Task:
    """The same task, whose model's weight gradients are looked at on the way back."""
    kind = type(task)

    def model(self: Task, params: Params) -> nn.Module:
        built = kind.model(self, params)
        for parameter in built.parameters():
            if parameter.ndim >= 2 and parameter.requires_grad:
                layer = LayerGradients()
                layers.append(layer)
                parameter.register_hook(_looking(layer))
        return built

    watched: Task = type(kind.__name__, (kind,), {"model": model})()
    return watched


def _looking(layer: LayerGradients) -> "torch._C._GradHook":
    calls = 0

    def look(gradient: Tensor) -> None:
        nonlocal calls
        if calls % STRIDE == 0:
            layer.see(gradient)
        calls += 1

    return look
