"""Three real tables out of scikit-learn's wheel as tasks, trained by hpsearch one by one or many at once."""

# M models trained together, B batch, N samples, F features, H hidden units, K outputs

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.records import Outcome, Program, TrialPlan
from hpsearch.space import Params
from hpsearch.spec import Objective
from hpsearch.tasks import NamedTask
from hpsearch.training import Data, Task
from hpsearch.training.divergence import DivergenceWatch
from hpsearch.training.prepared import Prepared, prepare
from hpsearch.training.program import Place, run_task
from hpsearch.training.seeds import Seeds, reproducible
from hpsearch.training.splits import stratified
from hpsearch.training.trainer import STRIDE
from hpsearch.vocabulary import hyperparameters
from hpsearch.wire import Assignment

VALIDATION = 0.25
SPLIT_SEED = 0
OBJECTIVE = Objective(metric="val_loss", direction="minimize")
NAMELESS = NamedTask(dataset="digits", model="mlp")  # an assignment names a task; the object given is trained
MOMENTUM = 0.9
FIXED = {"optimizer": "sgd", "momentum": MOMENTUM, "preprocessing": "standardized", "monitors": False}


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

    def loss(self, params: Mapping[str, Any]) -> nn.Module:
        return nn.MSELoss()


@dataclass(frozen=True)
class Job:
    """A whole run to train: a point under a study's seed and a replicate."""

    point: tuple[tuple[str, Any], ...]
    seed: int
    replicate: int = 0


@dataclass(frozen=True)
class Whole:
    """`steps` trained (fewer where it diverged), validation loss after each epoch, that of the best snapshot."""

    steps: int
    curve: tuple[float, ...]
    loss: float


@dataclass
class Bench:
    """One table with its fixed hyperparameters. No run is made twice."""

    task: Task
    batch_size: int
    _alone: dict[tuple[int, str], Outcome] = field(default_factory=dict)
    _whole: dict[tuple[Job, int], Whole] = field(default_factory=dict)
    _prepared: dict[tuple[int, int], Prepared] = field(default_factory=dict)

    @property
    def fixed(self) -> Params:
        return {**FIXED, "batch_size": self.batch_size}

    def alone(self, plan: TrialPlan, seed: int) -> Outcome:
        """Any plan by hpsearch's own trainer, from scratch: a continued run has the same numbers."""
        key = (seed, plan.digest)
        if key not in self._alone:
            assignment = Assignment(
                task=NAMELESS, fixed=self.fixed, params=plan.params, program=plan.program,
                replicate=plan.replicate, budget=plan.budget, objective=OBJECTIVE, seed=seed,
            )  # fmt: skip
            with tempfile.TemporaryDirectory() as folder, reproducible("cpu", 1):
                place = Place("cpu", Path(folder), Path(folder), None)
                self._alone[key] = run_task(self.task, assignment, place, lambda _: None, lambda: False)
        return self._alone[key]

    def together(self, jobs: Sequence[Job], epochs: int) -> list[Whole]:
        """Whole runs, as many as are asked for in one loop: what `alone` gives up to rounding, much faster."""
        new = [job for job in dict.fromkeys(jobs) if (job, epochs) not in self._whole]
        if new:
            ready = [self._ready(job.seed, job.replicate) for job in new]
            for job, whole in zip(new, fused(new, ready, epochs), strict=True):
                self._whole[job, epochs] = whole
        return [self._whole[job, epochs] for job in jobs]

    def _ready(self, seed: int, replicate: int) -> Prepared:
        key = (seed, replicate)
        if key not in self._prepared:
            params = hyperparameters({}, self.task.defaults, self.fixed)
            self._prepared[key] = prepare(self.task, params, Program(kind="train"), Seeds(*key), "cpu")
        return self._prepared[key]


def fused(jobs: Sequence[Job], ready: Sequence[Prepared], epochs: int) -> list[Whole]:
    """SGD with momentum on all models at once: each has its own weights, data order, rate and decay."""
    one = ready[0]
    batch, per_epoch = one.batch_size, one.steps_per_epoch
    x_NF, y_N = one.train.take(torch.arange(one.train.count))
    held_x, held_y = one.validation.take(torch.arange(one.validation.count))
    weights = stacked([prepared.new_model() for prepared in ready])
    rate, decay = (
        torch.tensor([float(dict(job.point)[name]) for job in jobs])
        for name in ("learning_rate", "weight_decay")
    )
    buffers = [torch.zeros_like(w) for w in weights]
    watches = [DivergenceWatch() for _ in jobs]
    steps = [epochs * per_epoch] * len(jobs)
    alive = set(range(len(jobs)))
    curves: list[list[float]] = [[] for _ in jobs]
    for epoch in range(epochs):
        orders = torch.stack([prepared.order(epoch) for prepared in ready])
        for step in range(per_epoch):
            at_MB = orders[:, step * batch : (step + 1) * batch]
            losses_M = loss_of_each(outputs_of(weights, x_NF[at_MB]), y_N[at_MB])
            gradients = torch.autograd.grad(losses_M.sum(), weights)
            update(weights, gradients, buffers, rate, decay)
            now = epoch * per_epoch + step + 1
            seen = losses_M.tolist()
            for i in [i for i in alive if watches[i].sees(seen[i])]:
                alive.discard(i)
                looked = min(math.ceil(now / STRIDE) * STRIDE, (epoch + 1) * per_epoch, epochs * per_epoch)
                steps[i] = looked
        with torch.no_grad():
            every = held_x.expand(len(jobs), *held_x.shape)
            found = loss_of_each(outputs_of(weights, every), held_y.expand(len(jobs), *held_y.shape)).tolist()
        for i in alive:
            curves[i].append(found[i])
    return [
        Whole(steps[i], tuple(curves[i]), best_of(curves[i]) if i in alive else math.inf)
        for i in range(len(jobs))
    ]


def stacked(models: Sequence[nn.Module]) -> list[Tensor]:
    """Weights (M, H, F), biases (M, 1, H), weights (M, K, H), biases (M, 1, K) that take gradients."""
    parts = [torch.stack([list(model.parameters())[i].detach() for model in models]) for i in range(4)]
    return [(part if part.ndim == 3 else part[:, None]).clone().requires_grad_() for part in parts]


def outputs_of(weights: Sequence[Tensor], x_MBF: Tensor) -> Tensor:
    w1, b1, w2, b2 = weights
    hidden = torch.baddbmm(b1, x_MBF, w1.mT).relu()
    return torch.baddbmm(b2, hidden, w2.mT)


def loss_of_each(outputs_MBK: Tensor, y_MB: Tensor) -> Tensor:
    """Each model's mean loss, (M,): cross-entropy of labels, else squared error."""
    if y_MB.is_floating_point():
        return (outputs_MBK - y_MB).square().mean((1, 2))
    flat = functional.cross_entropy(outputs_MBK.flatten(0, 1), y_MB.flatten(), reduction="none")
    return flat.view(y_MB.shape).mean(1)


@torch.no_grad()
def update(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    buffers: Sequence[Tensor],
    rate: Tensor,
    decay: Tensor,
) -> None:
    """torch.optim.SGD's step, decay on weights and not on biases."""
    for place, (weight, gradient, buffer) in enumerate(zip(weights, gradients, buffers, strict=True)):
        pull = gradient + decay[:, None, None] * weight if place in (0, 2) else gradient
        buffer.mul_(MOMENTUM).add_(pull)
        weight.sub_(rate[:, None, None] * buffer)


def best_of(curve: Sequence[float]) -> float:
    """`val_loss_best` of `hpsearch.curves`: the lowest mean of two neighbours."""
    pairs = [(a + b) / 2 for a, b in pairwise(curve)] or list(curve)
    return min((value for value in pairs if math.isfinite(value)), default=math.inf)
