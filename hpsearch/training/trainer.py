"""The training loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from hpsearch.records import Program, Series
from hpsearch.spec import Objective
from hpsearch.training.augmentation.mixing import Targets
from hpsearch.training.averaging import Averaged
from hpsearch.training.checkpoint import (
    Checkpoint,
    optimizer_state,
    restore_optimizer,
    restore_rng,
    rng_state,
    weights_of,
    write_checkpoint,
)
from hpsearch.training.compilation import CompiledForward
from hpsearch.training.divergence import DivergenceWatch
from hpsearch.training.evaluation import Evaluation, zero_output_loss
from hpsearch.training.gradients import Gradients
from hpsearch.training.history import History
from hpsearch.training.layer_groups import rate_factors
from hpsearch.training.metrics import multilabel_accuracy
from hpsearch.training.monitors import Measured, UpdateMonitor, forget_peak_memory, unit_statistics
from hpsearch.training.optimizers import build_optimizer, scaled_rate
from hpsearch.training.prepared import Prepared
from hpsearch.training.regularization import add_l1, parameter_groups
from hpsearch.training.reporter import Reporter
from hpsearch.training.schedules import build_schedule
from hpsearch.training.seeds import seed_globals
from hpsearch.training.selection import Selection

STRIDE = 10  # steps between measured steps, looks at the losses, and polls of `stop`
UNIT_STRIDE = 400  # steps between looks at dead and saturated units, at least: each costs about four
FIT_LOSS = 0.01  # of the expected loss: when a regression counts as fitted (recipe.md step 2)

End = Literal["completed", "diverged", "released"]


@dataclass(frozen=True)
class Plan:
    """What to train towards. `last`: where the last checkpoint goes when asked to stop, and, where
    `keep_last`, at the end.
    """

    identity: str
    steps: int
    program: Program
    objective: Objective
    last: Path
    keep_last: bool


class Trainer:
    """Trains one model for one plan. `report` and `stop` are `run_program`'s.

    Steps are counted from the start of training, those before `start` included.
    """

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
        self.selection = Selection(
            plan.objective, prepared.reported_metrics, int(prepared.params["snapshots"])
        )
        self.model = prepared.new_model()
        self.step = self.started_at_step = 0
        self.diverged_at: int | None = None
        self.fit_at: int | None = None
        self.seconds = 0.0
        self._stop = stop
        self._build_optimization()
        self._pending_losses: list[Tensor] = []
        self._pending_measured: list[tuple[int, float, Measured | None]] = []
        seed_globals(prepared.seeds.derive("training"))
        self.history = History() if start is None else self._restore(start)
        self._watch = DivergenceWatch(self.history.values("loss"))
        self._reporter = Reporter(self.history, report)

    def _build_optimization(self) -> None:
        params = self.prepared.params
        self._groups = parameter_groups(
            self.model,
            decay_biases=bool(params["decay_biases"]),
            factors=rate_factors(self.model, self.prepared.named),
        )
        self._parameters = self._groups.all
        self._base_rate = self._rate = scaled_rate(params, self.prepared.batch_size)
        self._optimizer = build_optimizer(self._groups, {**params, "learning_rate": self._rate})
        self._schedule = build_schedule(params, self.plan.steps, self.prepared.steps_per_epoch)
        self._monitor = UpdateMonitor(self._groups, params) if params["monitors"] else None
        precision, parts = str(params["precision"]), int(params["accumulate"])
        forward = CompiledForward(self.model) if self.prepared.named["compile"] else self.model
        self._gradients = Gradients(
            forward, self.prepared.followed_loss, precision, self.prepared.device, parts
        )
        self._patience = int(params["patience"])
        ema_decay = float(params["ema_decay"])
        self._averaged = Averaged(self.model, ema_decay) if ema_decay > 0 else None
        self._clip_norm = float(params["clip_norm"])
        self._l1 = float(params["l1"])

    def run(self) -> End:
        """Train to the end of the plan, a divergence, a fit or a stop; curves are reported on the way."""
        forget_peak_memory(self.prepared.device)
        began = time.perf_counter()
        self.model.train()
        try:
            return self._run()
        finally:
            self.seconds = time.perf_counter() - began
            self._reporter.tell()

    def _run(self) -> End:
        per_epoch = self.prepared.steps_per_epoch
        while self.step < self.plan.steps and self.fit_at is None and not self.out_of_patience:
            end = self._epoch(*divmod(self.step, per_epoch))
            if end is not None:
                return end
        if self.plan.keep_last:
            # Before the extra evaluation: a longer run that continues from here would not have made it.
            self._write_last()
        if self.step % per_epoch or self._on_subset:
            self._evaluate(with_validation=True)
        return "completed"

    @property
    def _on_subset(self) -> bool:
        """Then validation data are looked at once, at the end."""
        return self.plan.program.subset_batches is not None

    @property
    def out_of_patience(self) -> bool:
        """Whether the last `patience` evaluations of validation data brought no better snapshot."""
        if self._patience == 0:
            return False
        best = self.selection.best
        steps = self.history.curves.get("val_loss", ([], []))[0]
        return sum(step > (0 if best is None else best.step) for step in steps) >= self._patience

    def _epoch(self, number: int, first: int) -> End | None:
        """The rest of one epoch from minibatch `first` on; None where training goes on behind it."""
        last = (number + 1) * self.prepared.steps_per_epoch
        for inputs, targets in self.prepared.epoch(number, first):
            self._update(inputs, targets)
            if self.step % STRIDE and self.step not in (last, self.plan.steps):
                continue
            self._look()
            if self.diverged_at is not None:
                return "diverged"
            if self.step == last:
                self._evaluate(with_validation=not self._on_subset)
            if self.step == self.plan.steps or self.fit_at is not None or self.out_of_patience:
                return None
            self._reporter.tell_when_due()
            if self._stop():
                self._write_last()
                return "released"
        return None

    def _update(self, inputs: Tensor, targets: Targets) -> None:
        """One optimizer step."""
        if not self._schedule.constant:
            self._set_rate(self._base_rate * self._schedule.factor(self.step))
        for (
            parameter
        ) in self._parameters:  # zero_grad wraps this in a profiler's record: a twentieth of a small step
            parameter.grad = None
        loss = self._gradients.add(inputs, targets)
        is_measured = self.step % STRIDE == 0
        before = self._monitor.before() if is_measured and self._monitor is not None else None
        if self._l1 > 0:
            add_l1(self._groups.decaying, self._l1)
        if self._clip_norm > 0:
            nn.utils.clip_grad_norm_(self._groups.all, self._clip_norm)
        self._optimizer.step()
        if self._averaged is not None:
            self._averaged.update()
        self.step += 1
        self._pending_losses.append(loss)
        if is_measured:
            monitor = self._monitor
            measured = (
                None if monitor is None or before is None else monitor.after(before, self.step, self._rate)
            )
            self._pending_measured.append((self.step, self._rate, measured))

    @property
    def evaluated_model(self) -> nn.Module:
        """What is measured and kept: the averaged weights where they are asked for."""
        return self.model if self._averaged is None else self._averaged.model

    def _set_rate(self, rate: float) -> None:
        self._rate = rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    def _look(self) -> None:
        """Read the pending losses from the device, once for all, and look for divergence."""
        losses: list[float] = torch.stack(self._pending_losses).tolist()
        first = self.step - len(losses) + 1
        for offset, loss in enumerate(losses):
            if self._watch.sees(loss):
                self.diverged_at = first + offset
                losses = losses[: offset + 1]
                break
        self.history.extend("loss", range(first, first + len(losses)), losses)
        for step, rate, measured in self._pending_measured:
            if self.diverged_at is None or step <= self.diverged_at:
                self.history.add("learning_rate", step, rate)
                for name, value in measured.read().items() if measured is not None else ():
                    self.history.add(name, step, value)
        self._pending_losses.clear()
        self._pending_measured.clear()

    def _evaluate(self, *, with_validation: bool) -> None:
        prepared, name = self.prepared, self.prepared.metric.name
        found = self._measured(prepared.evaluation_indices, on_train=True)
        record = {"train_loss": found.loss, f"train_{name}": found.metric}
        if self.plan.program.stop_when_fit and self.fit_at is None and self._fits(found):
            self.fit_at = self.step
        if self._monitor is not None and self._is_time_for_units():
            record |= unit_statistics(self.model, prepared)
        if with_validation:
            found = self._measured(torch.arange(prepared.validation.count), on_train=False)
            record |= {"val_loss": found.loss, f"val_{name}": found.metric}
            self.selection.consider(self.step, record, self.evaluated_model)
        for metric, value in record.items():
            self.history.add_once(metric, self.step, value)

    def _measured(self, indices: Tensor, *, on_train: bool) -> Evaluation:
        prepared = self.prepared
        samples = prepared.train if on_train else prepared.validation
        return prepared.evaluate(self.evaluated_model, samples, indices)

    def _is_time_for_units(self) -> bool:
        """At the end of an epoch once in UNIT_STRIDE steps, first after half as many."""
        epoch, rest = divmod(self.step, self.prepared.steps_per_epoch)
        first = -(-UNIT_STRIDE // 2 // self.prepared.steps_per_epoch)
        return rest == 0 and epoch % (2 * first) == first

    def _fits(self, found: Evaluation) -> bool:
        """Every target met; a regression: a hundredth of the loss that zero outputs have."""
        prepared = self.prepared
        if found.accuracy is not None:
            return found.accuracy == 1.0
        if prepared.metric.measure is multilabel_accuracy:
            return found.metric == 1.0
        inputs, targets = prepared.train.take(prepared.evaluation_indices)
        return found.loss <= FIT_LOSS * zero_output_loss(
            self.model, inputs, targets, prepared.evaluation_loss
        )

    def _write_last(self) -> None:
        checkpoint = Checkpoint(
            identity=self.plan.identity,
            rates=self._schedule.until(self.step),
            step=self.step,
            model=weights_of(self.model),
            optimizer=optimizer_state(self._optimizer),
            rng=rng_state(self.prepared.device),
            best=self.selection.best,
            curves=self.history.curves,
            runners_up=tuple(self.selection.kept[1:]),
            averaged={} if self._averaged is None else self._averaged.state(),
        )
        write_checkpoint(self.plan.last, checkpoint)

    def _restore(self, start: Checkpoint) -> History:
        self.model.load_state_dict(start.model)
        if self._averaged is not None:
            self._averaged.restore(start.averaged)
        restore_optimizer(self._optimizer, start.optimizer)
        restore_rng(start.rng, self.prepared.device)
        self.step = self.started_at_step = start.step
        self.selection.restore(() if start.best is None else (start.best, *start.runners_up))
        return History(start.curves)
