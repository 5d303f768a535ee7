"""The study so far, as the stages ask for it: results by plan, facts of step 1, allowed values."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hpsearch.recipe.carry import Carry, latest_carry
from hpsearch.records import (
    Budget,
    Measured,
    Program,
    Stage,
    StageKind,
    Trial,
    TrialId,
    TrialPlan,
    TrialState,
)
from hpsearch.space import Params, ParamValue, canonical
from hpsearch.spec import StudySpec
from hpsearch.tasks import FileTask, NamedTask
from hpsearch.vocabulary import AUGMENTATIONS, check_value

# Switched off where a step says "regularization off" (steps 1 and 2).
NO_REGULARIZATION: Params = {
    "weight_decay": 0.0, "l1": 0.0, "dropout": 0.0, "dropconnect": 0.0, "label_smoothing": 0.0,
    "stochastic_depth": 0.0, **dict.fromkeys(AUGMENTATIONS, 0),
}  # fmt: skip
# Knobs that make a model wider or deeper; a user's task may declare the last of each.
WIDTHS = ("hidden_units", "channels", "width")
DEPTHS = ("hidden_layers", "depth")
MODEL_KNOBS = {
    "hidden_units": ("mlp",),
    "hidden_layers": ("mlp",),
    "channels": ("cnn",),
    "dropout": ("mlp", "cnn"),
}


@dataclass(frozen=True)
class Facts:
    """What step 1 measured about the task. NaN where a fact does not exist (entropy of a regression)."""

    expected_loss: float
    label_entropy: float
    classes: float
    majority: float
    steps_per_epoch: float
    baseline: tuple[float, ...]
    constant_loss: float = math.nan

    @property
    def chance_loss(self) -> float:
        """Loss of knowing only the targets' frequencies or mean: measured, else their entropy."""
        if math.isfinite(self.constant_loss):
            return self.constant_loss
        return self.label_entropy if math.isfinite(self.label_entropy) else self.expected_loss

    @classmethod
    def of(cls, check: Measured) -> "Facts":
        return cls(
            expected_loss=check.measurement("expected_loss"),
            label_entropy=check.measurement("label_entropy"),
            classes=check.measurement("classes"),
            majority=check.measurement("majority_fraction"),
            steps_per_epoch=check.measurement("steps_per_epoch", 1.0),
            baseline=tuple(check.measurement_list("baseline_losses")),
            constant_loss=check.measurement("chance_loss"),
        )


@dataclass(frozen=True)
class History:
    """Everything the recipe may look at. Nothing here changes; asking twice gives the same answer."""

    spec: StudySpec
    stages: Sequence[Stage]
    trials: Sequence[Trial]
    proposed: Carry | None = None  # looked at as if the running stage had ended with it

    @cached_property
    def _by_digest(self) -> dict[str, Trial]:
        return {trial.digest: trial for trial in self.trials}

    @cached_property
    def carry(self) -> Carry:
        return latest_carry(self.stages) if self.proposed is None else self.proposed

    def proposing(self, carry: Carry) -> "History":
        """The same study with this carry as the latest."""
        return replace(self, proposed=carry)

    def result(self, plan: TrialPlan) -> Trial | None:
        """The trial of this plan, from whichever stage trained it."""
        return self._by_digest.get(plan.digest)

    def results(self, plans: Iterable[TrialPlan]) -> list[Trial]:
        """The finished trials of these plans, in the plans' order."""
        found = (self.result(plan) for plan in plans)
        return [trial for trial in found if trial is not None and trial.finished]

    def done(self, plans: Iterable[TrialPlan]) -> bool:
        """Whether each of these plans has a finished trial."""
        return all((trial := self.result(plan)) is not None and trial.finished for plan in plans)

    def of_kind(self, kind: StageKind) -> list[Stage]:
        return [stage for stage in self.stages if stage.kind is kind]

    # --- values -----------------------------------------------------------------------------------

    def free(self, name: str) -> bool:
        """Whether the recipe may move this knob: it is an axis, or neither fixed nor unknown to the model."""
        if name in self.spec.space:
            return True
        return name in self.spec.knobs and name not in self.spec.fixed and self._model_has(name)

    def _model_has(self, name: str) -> bool:
        task = self.spec.task
        if isinstance(task, FileTask):
            # What a user's module does with a model knob is unknown unless it declares it.
            return name in task.knobs or name not in {*MODEL_KNOBS, "activation", "initialization"}
        return name not in MODEL_KNOBS or (isinstance(task, NamedTask) and task.model in MODEL_KNOBS[name])

    def bounds(self, name: str) -> tuple[float, float]:
        """Hard limits of a numeric knob: its axis (hull of numeric choices), its fixed value, its range."""
        axis = self.spec.space.get(name)
        if axis is not None:
            return axis.bounds
        fixed = self.spec.fixed.get(name)
        if isinstance(fixed, int | float):
            return float(fixed), float(fixed)
        return self.spec.knobs[name].axis.bounds

    def inside(self, name: str, values: Iterable[float]) -> list[float]:
        """Those values that lie within the knob's hard bounds, canonical, without repeats."""
        low, high = self.bounds(name)
        slack = 1e-9 * max(abs(low), abs(high))
        kept = [min(max(canonical(v), low), high) for v in values if low - slack <= v <= high + slack]
        return list(dict.fromkeys(float(self.typed(name, v)) for v in kept))

    def typed(self, name: str, value: ParamValue) -> ParamValue:
        """The value in the knob's own type. Raises ValueError where it is out of range."""
        if isinstance(value, float) and self.spec.knobs[name].axis.type == "int":
            value = round(value)
        return check_value(name, value, self.spec.knobs)

    @cached_property
    def start(self) -> Params:
        """Every axis but learning rate and weight decay at its start: fixed, else default, else middle."""
        chosen: Params = {}
        for name, axis in self.spec.space.items():
            if name in ("learning_rate", "weight_decay"):
                continue
            default = self.spec.fixed.get(name, self.spec.knobs[name].default)
            chosen[name] = self.typed(name, default if axis.contains(default) else axis.middle)
        return chosen

    def point(self, **params: ParamValue) -> Params:
        """Start values, the settings carried so far, then `params`, each in its type."""
        merged = {**self.start, **self.carry.settings, **params}
        return {name: self.typed(name, value) for name, value in sorted(merged.items())}

    def value(self, name: str, params: Params | None = None) -> ParamValue:
        """What a knob is under these params (default: the carried settings)."""
        layers = [self.start, self.carry.settings] if params is None else [params]
        return self.spec.hyperparameters(*layers)[name]

    # --- plans ------------------------------------------------------------------------------------

    def train(
        self,
        params: Params,
        *,
        epochs: float | None = None,
        steps: int | None = None,
        role: str,
        program: Program | None = None,
        replicate: int = 0,
    ) -> TrialPlan:
        """A training trial of this point; it continues a shorter one where the numbers stay the same."""
        plan = TrialPlan(
            program=program or Program(kind="train"),
            params=params,
            replicate=replicate,
            budget=Budget(steps=steps, epochs=epochs),
            role=role,
        )
        return plan.model_copy(update={"continues": self._shorter(plan)})

    def check(self) -> TrialPlan:
        """Step 1's measurements under the settings carried so far."""
        return TrialPlan(
            program=Program(kind="check", overrides=NO_REGULARIZATION), params=self.point(), role="check"
        )

    def facts(self) -> Facts:
        """Of the newest check. Only stages after step 1 ask."""
        return Facts.of(self.check_trial())

    def check_trial(self) -> Trial:
        """The check under the settings carried so far, else the newest."""
        checks = [t for t in self.trials if t.program.kind == "check" and t.state is TrialState.COMPLETED]
        current = [t for t in checks if t.digest == self.check().digest]
        return (current or checks)[-1]

    def _shorter(self, plan: TrialPlan) -> TrialId | None:
        """The longest completed run of the same point with less budget, if its schedule is constant.

        Only then is the longer run the continuation of the shorter one (recipe.md, rules that bind).
        """
        values = self.spec.hyperparameters(plan.params, plan.program.overrides)
        if values["schedule"] != "constant" or plan.budget is None or plan.budget.epochs is None:
            return None
        shorter = [
            trial
            for trial in self.trials
            if trial.state is TrialState.COMPLETED
            and trial.program == plan.program
            and trial.params == plan.params
            and trial.replicate == plan.replicate
            and trial.budget is not None
            and trial.budget.epochs is not None
            and trial.budget.epochs < plan.budget.epochs
        ]
        longest = max(
            shorter, key=lambda trial: trial.budget.epochs or 0.0 if trial.budget else 0.0, default=None
        )
        return None if longest is None else longest.id
