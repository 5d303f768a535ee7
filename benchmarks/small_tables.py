"""Three real tables out of scikit-learn's wheel as tasks, and their training with every run made once."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn

from hpsearch.records import Budget, Outcome, Program, TrialPlan
from hpsearch.spec import Objective
from hpsearch.tasks import NamedTask
from hpsearch.training import Data, Task
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import reproducible
from hpsearch.training.splits import stratified
from hpsearch.wire import Assignment

VALIDATION = 0.25
SPLIT_SEED = 0
OBJECTIVE = Objective(metric="val_loss", direction="minimize")
NAMELESS = NamedTask(dataset="digits", model="mlp")  # an assignment names a task; the object given is trained


@lru_cache
def parsed(load: Callable[..., Any]) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Inputs and targets; parsing takes as long as a short training."""
    inputs, targets = load(return_X_y=True)
    return inputs.astype(np.float32), targets


class Table(Task):
    """One hidden layer on a table. The split is the table's own: a seed's share is initialization and data order,
    for with a new split for each seed a hundred validation samples would hide every difference.
    """

    load: Callable[..., Any]
    hidden = 32

    def data(self, params: Mapping[str, Any], seed: int) -> Data:
        x, y = parsed(type(self).load)
        targets = self.targets(y)
        labels = y if targets.dtype == torch.int64 else np.zeros(len(y), dtype=np.int64)
        chosen, rest = stratified(labels, round(VALIDATION * len(y)), SPLIT_SEED)
        inputs = torch.from_numpy(x)
        train, held = torch.from_numpy(rest), torch.from_numpy(chosen)
        return Data((inputs[train], targets[train]), (inputs[held], targets[held]))

    def targets(self, y: "np.ndarray[Any, Any]") -> Tensor:
        return torch.from_numpy(y.astype(np.int64))

    def model(self, params: Mapping[str, Any]) -> nn.Module:
        x, y = parsed(type(self).load)
        outputs = 1 if self.metric == "mse" else int(y.max()) + 1
        return nn.Sequential(nn.Linear(x.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, outputs))


class Digits(Table):
    load = staticmethod(datasets.load_digits)


class Cancer(Table):
    load = staticmethod(datasets.load_breast_cancer)


class Wine(Table):
    load = staticmethod(datasets.load_wine)


class Diabetes(Table):
    """A regression on the standardized target."""

    load = staticmethod(datasets.load_diabetes)
    metric = "mse"

    def targets(self, y: "np.ndarray[Any, Any]") -> Tensor:
        return torch.from_numpy(((y - y.mean()) / y.std()).astype(np.float32))[:, None]

    def loss(self, params: Mapping[str, Any]) -> Callable[..., Tensor]:
        return nn.MSELoss()


@dataclass
class Bench:
    """Trains one task's plans; the same plan under the same seed is trained once."""

    task: Task
    fixed: Mapping[str, Any]
    made: dict[tuple[int, str], tuple[Outcome, dict[str, list[float]]]] = field(default_factory=dict)

    def run(self, plan: TrialPlan, seed: int) -> tuple[Outcome, dict[str, list[float]]]:
        """(outcome, curves by name), always from scratch: a continued run has the same numbers."""
        key = (seed, plan.digest)
        if key not in self.made:
            self.made[key] = self._train(plan, seed)
        return self.made[key]

    def _train(self, plan: TrialPlan, seed: int) -> tuple[Outcome, dict[str, list[float]]]:
        assignment = Assignment(
            task=NAMELESS, fixed=dict(self.fixed), params=plan.params, program=plan.program,
            replicate=plan.replicate, budget=plan.budget, objective=OBJECTIVE, seed=seed,
        )  # fmt: skip
        curves: dict[str, list[float]] = {}

        def report(series: Mapping[str, Any]) -> None:
            for name, points in series.items():
                curves.setdefault(name, []).extend(points.values)

        with tempfile.TemporaryDirectory() as folder, reproducible("cpu", 1):
            place = Place("cpu", Path(folder), Path(folder), None)
            return run_task(self.task, assignment, place, report, lambda: False), curves


def full_run(params: Mapping[str, Any], epochs: float, replicate: int = 0) -> TrialPlan:
    return TrialPlan(
        program=Program(kind="train"), params=dict(params), budget=Budget(epochs=epochs), replicate=replicate
    )
