"""The training loop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hpsearch.errors import TrialError
from hpsearch.records import Program, Series
from hpsearch.spec import Objective
from hpsearch.training.checkpoint import (
    Checkpoint,
    Snapshot,
    optimizer_state,
    restore_optimizer,
    restore_rng,
    rng_state,
    weights_of,
    write_checkpoint,
)
from hpsearch.training.divergence import DivergenceWatch
from hpsearch.training.evaluation import Evaluation, checked, checked_scalar, evaluate
from hpsearch.training.history import History
from hpsearch.training.metrics import multilabel_accuracy
from hpsearch.training.monitors import Measured, UpdateMonitor
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.prepared import Prepared
from hpsearch.training.regularization import Groups, add_l1, parameter_groups
from hpsearch.training.schedules import Schedule, build_schedule
from hpsearch.training.seeds import seed_globals

STRIDE = 10  # steps between measured steps, looks at the losses, and polls of `stop`
REPORT_SECONDS = 1.0
REPORT_POINTS = 5_000  # a report is sent at once when it holds so many
FIT_LOSS = 0.01  # of the expected loss: when a regression counts as fitted (recipe.md step 2)

End = Literal["completed", "diverged", "released"]


@dataclass(frozen=True)
class Plan:
    """What to train towards. `last`: where to write the last checkpoint when asked to stop, and at the end
    where `keep_last`.
    """

    identity: str
    steps: int
    program: Program
    objective: Objective
    last: Path
    keep_last: bool


class Trainer:
    """Trains one model for one plan. `report` and `stop` are `run_program`'s."""

    def __init__(
        self,
        prepared: Prepared,
        plan: Plan,
        report: Callable[[Series], None],
        stop: Callable[[], bool],
        start: Checkpoint | None = None,
    ) -> None:
        self.prepared = prepared
        self.plan = plan
        self.model: nn.Module = prepared.new_model()
        self.groups: Groups = parameter_groups(self.model)
        self.optimizer: Optimizer = build_optimizer(self.groups, prepared.params)
        self.schedule: Schedule = build_schedule(prepared.params, plan.steps, prepared.steps_per_epoch)
        self.step = 0
        self.started_at_step = 0
        self.history = History()
        self.best: Snapshot | None = None
        self.diverged_at: int | None = None
        self.fit_at: int | None = None
        self.seconds = 0.0
        self._report = report
        self._stop = stop
        self._monitor = UpdateMonitor(self.groups, prepared.params)
        self._losses: list[Tensor] = []
        self._measured: list[tuple[int, float, Measured]] = []
        self._reported_at = time.monotonic()
        self._base_rate = float(prepared.params["learning_rate"])
        self._rate = self._base_rate
        self._clip = float(prepared.params["clip_norm"])
        self._l1 = float(prepared.params["l1"])
        self._expected_loss: float | None = None
        self._train_indices = prepared.evaluation_indices()
        self._validation_indices = torch.arange(prepared.validation.count)
        seed_globals(prepared.seeds.derive("training"))
        if start is not None:
            self._restore(start)
        self._watch = DivergenceWatch(self.history.values("loss"))

    def run(self) -> End:
        """Train to the end of the plan, a divergence, a fit or a stop; curves are reported on the way."""
        began = time.perf_counter()
        self.model.train()
        try:
            return self._run()
        finally:
            self.seconds = time.perf_counter() - began
            self._tell()

    def _run(self) -> End:
        per_epoch = self.prepared.steps_per_epoch
        while self.step < self.plan.steps and self.fit_at is None:
            end = self._epoch(*divmod(self.step, per_epoch))
            if end is not None:
                return end
        if self.plan.keep_last:
            # Before the extra evaluation: a longer run that continues from here would not have made it.
            self._write_last()
        if self.step % per_epoch or self._needs_validation():
            self._evaluate(with_validation=True)
        return "completed"

    def _epoch(self, number: int, first: int) -> End | None:
        """The rest of one epoch from minibatch `first` on; None where training goes on behind it."""
        last = (number + 1) * self.prepared.steps_per_epoch
        for inputs, targets in self.prepared.epoch(number, first):
            self._update(inputs, targets)
            ended = self.step in (last, self.plan.steps)
            if self.step % STRIDE and not ended:
                continue
            self._look()
            if self.diverged_at is not None:
                return "diverged"
            if self.step == last:
                self._evaluate(with_validation=self.plan.program.subset_batches is None)
            if self.step == self.plan.steps or self.fit_at is not None:
                return None
            self._tell_now_and_then()
            if self._stop():
                self._write_last()
                return "released"
        return None

    def _update(self, inputs: Tensor, targets: Tensor) -> None:
        """One optimizer step."""
        if not self.schedule.constant:
            self._set_rate(self._base_rate * self.schedule.factor(self.step))
        self.optimizer.zero_grad()
        loss = self.prepared.loss(self.model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        measures = self.step % STRIDE == 0
        if measures:
            checked_scalar(loss)
            grad_norm = self._monitor.before()
        if self._l1 > 0:
            add_l1(self.groups.weights, self._l1)
        if self._clip > 0:
            nn.utils.clip_grad_norm_(self.groups.all, self._clip)
        self.optimizer.step()
        self.step += 1
        self._losses.append(loss.detach())
        if measures:
            measured = self._monitor.after(grad_norm, self.step, self._rate)
            self._measured.append((self.step, self._rate, measured))

    def _set_rate(self, rate: float) -> None:
        self._rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _look(self) -> None:
        """Read the pending losses from the device, once for all, and look for divergence."""
        losses = torch.stack(self._losses).tolist()
        first = self.step - len(losses) + 1
        for offset, loss in enumerate(losses):
            if self._watch.sees(loss):
                self.diverged_at = first + offset
                losses = losses[: offset + 1]
                break
        self.history.extend("loss", list(range(first, first + len(losses))), losses)
        self._losses.clear()
        for step, rate, measured in self._measured:
            if self.diverged_at is None or step <= self.diverged_at:
                self.history.add("learning_rate", step, rate)
                self.history.add("grad_norm", step, float(measured.grad_norm))
                self.history.add("update_ratio", step, float(measured.update_ratio))
        self._measured.clear()

    # --- evaluation ------------------------------------------------------------------------------

    def _needs_validation(self) -> bool:
        """A subset is trained without looking at validation data; they are measured once, at the end."""
        return self.plan.program.subset_batches is not None

    def _evaluate(self, *, with_validation: bool) -> None:
        record = {}
        found = self._measure(self._train_indices, on_train=True)
        record.update({"train_loss": found.loss, f"train_{self.prepared.metric.name}": found.metric})
        if self.plan.program.stop_when_fit and self.fit_at is None and self._fits(found):
            self.fit_at = self.step
        if with_validation:
            found = self._measure(self._validation_indices, on_train=False)
            record.update({"val_loss": found.loss, f"val_{self.prepared.metric.name}": found.metric})
        steps = self.history.curves.get("train_loss", ([], []))[0]
        repeats = bool(steps) and steps[-1] == self.step
        for name, value in record.items():
            if not (repeats and name.startswith("train_")):
                self.history.add(name, self.step, value)
        if with_validation:
            self._keep_if_best(record)

    def _measure(self, indices: Tensor, *, on_train: bool) -> Evaluation:
        prepared = self.prepared
        samples = prepared.train if on_train else prepared.validation
        return evaluate(
            self.model, samples, indices, prepared.evaluation_loss, prepared.metric, prepared.batch_size
        )

    def _fits(self, found: Evaluation) -> bool:
        """Every target met; a regression: a hundredth of the loss that zero outputs have."""
        if found.accuracy is not None:
            return found.accuracy == 1.0
        if self.prepared.metric.measure is multilabel_accuracy:
            return found.metric == 1.0
        if self._expected_loss is None:
            self._expected_loss = expected_loss(self.model, self.prepared, self._train_indices)
        return found.loss <= FIT_LOSS * self._expected_loss

    def _keep_if_best(self, record: dict[str, float]) -> None:
        """Keep the weights where the objective is the best so far; equal ones by validation loss."""
        objective = self.plan.objective
        if objective.metric not in record:
            raise TrialError(
                f"the objective {objective.metric} is not among what this task reports: {', '.join(record)}",
                hint="name one of these as objective.metric",
            )
        if not math.isfinite(record[objective.metric]):
            return
        if self.best is None or self._rank(record) > self._rank(dict(self.best.record)):
            self.best = Snapshot(self.step, record, weights_of(self.model))

    def _rank(self, record: dict[str, float]) -> tuple[float, float]:
        objective, loss = self.plan.objective, record["val_loss"]
        return objective.sign * record[objective.metric], -loss if math.isfinite(loss) else -math.inf

    # --- reports and checkpoints -----------------------------------------------------------------

    def _tell_now_and_then(self) -> None:
        due = time.monotonic() - self._reported_at >= REPORT_SECONDS
        if due or self.history.untold_count() >= REPORT_POINTS:
            self._tell()

    def _tell(self) -> None:
        series = self.history.untold()
        if series:
            self._report(series)
        self._reported_at = time.monotonic()

    def _write_last(self) -> None:
        checkpoint = Checkpoint(
            identity=self.plan.identity,
            step=self.step,
            model=weights_of(self.model),
            optimizer=optimizer_state(self.optimizer),
            rng=rng_state(self.prepared.device),
            best=self.best,
            curves=self.history.curves,
        )
        write_checkpoint(self.plan.last, checkpoint)

    def _restore(self, start: Checkpoint) -> None:
        self.model.load_state_dict(start.model)
        restore_optimizer(self.optimizer, start.optimizer)
        restore_rng(start.rng, self.prepared.device)
        self.step = self.started_at_step = start.step
        self.best = start.best
        self.history = History(start.curves)


def expected_loss(model: nn.Module, prepared: Prepared, indices: Tensor) -> float:
    """The user's own loss where every output is zero: what a model that knows nothing scores."""
    inputs, targets = prepared.train.take(indices)
    with torch.no_grad():
        outputs = torch.zeros_like(checked(model(inputs)))
        return float(prepared.evaluation_loss(outputs, targets))
