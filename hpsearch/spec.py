"""What a study asks for: the study file as a record, checked against the vocabulary.

Every error is one sentence with a JSON pointer; `studyfile` turns pointers into lines and columns.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, ValidationError, field_validator, model_validator

from hpsearch import command
from hpsearch.augmentation_rules import contradictions, image_shape
from hpsearch.command import CommandTask
from hpsearch.contradictions import (
    Settings,
    loading_contradictions,
    loop_contradictions,
    model_contradictions,
    target_contradictions,
    weights_contradictions,
)
from hpsearch.errors import InvalidInput, Problem, unknown
from hpsearch.records import Record, digest_of
from hpsearch.sentences import SpecProblems, problems_of
from hpsearch.short_forms import written_out
from hpsearch.space import Axis, Params, ParamValue, grid_size
from hpsearch.tasks import FileTask, NamedTask, Task, objective_metrics
from hpsearch.vocabulary import (
    HYPERPARAMETERS,
    METHODS,
    OWN_TASK_DEFAULTS,
    Knob,
    check_value,
    hyperparameters,
    knobs_of,
)

MAX_TRIALS = 1_000_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Objective(Record):
    metric: str = Field(default="val_accuracy", pattern=r"^[A-Za-z_][A-Za-z0-9_./-]{0,99}$")
    direction: Literal["minimize", "maximize"] = "maximize"

    @property
    def sign(self) -> float:
        """Multiply a value by this and larger is better."""
        return 1.0 if self.direction == "maximize" else -1.0


class RecipeOptions(Record):
    """The recipe's own settings; each default is recipe.md's figure."""

    search: Literal["grid", "random"] = "grid"
    coarse_epochs: float = Field(default=3, gt=0, le=10_000)
    refine_epochs: float = Field(default=15, gt=0, le=100_000)
    rounds: int = Field(default=3, ge=1, le=50, description="refined rounds at most (step 7)")
    replicates: int = Field(default=3, ge=1, le=100, description="seeds of the top points and of `final`")
    tolerance: float = Field(default=0.0, ge=0, description="gain in validation loss that does not matter")


class Resources(Record):
    gpus: int = Field(default=0, ge=0, le=64)
    labels: Annotated[tuple[str, ...], FailFast()] = Field(default=(), max_length=64)
    priority: int = Field(default=0, ge=-1000, le=1000)


class StudyBudget(Record):
    """Limits on the whole study, counted where trials are claimed."""

    trials: int | None = Field(default=None, ge=1, le=MAX_TRIALS)
    minutes: float | None = Field(default=None, gt=0)
    device_hours: float | None = Field(default=None, gt=0, description="of slots, summed over all runs")


class StudySpec(Record):
    """One search, complete: `POST /studies` takes it, `study.yaml` is it."""

    name: str
    description: str = Field(default="", max_length=10_000)
    task: Task
    method: Literal["recipe", "grid", "random"] = "recipe"
    recipe: RecipeOptions = RecipeOptions()
    resources: Resources = Resources()
    objective: Objective = Objective()
    space: dict[str, Axis] = {}
    fixed: Params = {}
    grid: dict[str, int] = {}
    budget: StudyBudget = StudyBudget()
    replicates: int = Field(default=1, ge=1, le=1000, description="seeds per point (grid and random)")
    max_failures: int = Field(default=0, ge=0, le=100, description="reruns after an exception in user code")
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, raw: Any) -> Any:
        return written_out(raw)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name.isdigit():
            raise ValueError(f"name {name[:100]!r} would be taken for an id; begin it with a letter")
        if not NAME.match(name):
            raise ValueError(
                f"name {name[:100]!r} must be 1-100 letters, digits, '.', '_' or '-' and start with a letter or digit"
            )
        return name

    @field_validator("method", mode="before")
    @classmethod
    def _known_method(cls, method: Any) -> Any:
        if isinstance(method, str) and method not in METHODS:
            raise ValueError(unknown("method", method, METHODS))
        return method

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise SpecProblems(problems)
        return self

    @property
    def knobs(self) -> dict[str, Knob]:
        """Every name this study may set."""
        return knobs_of(self.task.knobs if isinstance(self.task, FileTask) else {})

    def hyperparameters(self, *layers: Params) -> Params:
        """All knobs' values under `fixed` and then `layers`."""
        if isinstance(self.task, FileTask):
            return hyperparameters(self.task.knobs, OWN_TASK_DEFAULTS, self.fixed, *layers)
        return hyperparameters({}, self.fixed, *layers)

    def points(self) -> int:
        """How many points grid or random will train, replicates not counted."""
        if self.method == "grid":
            return grid_size(self.space, self.grid)
        return self.budget.trials or 0

    @property
    def digest(self) -> str:
        """Tells two specs apart; the description does not count."""
        return digest_of(self.model_dump(mode="json", exclude={"description"}))

    def _problems(self) -> Iterator[Problem]:
        names = list(self._problems_with_names())
        yield from names
        yield from self._problems_with_method()
        yield from self._problems_with_objective()
        if not names:
            yield from self._problems_with_augmentation()
            yield from self._problems_with_settings()

    def _problems_with_names(self) -> Iterator[Problem]:
        if isinstance(self.task, CommandTask):
            yield from command.problems(self.task, self.space, self.fixed)
            yield from self._problems_with_axes()
            return
        knobs = self.knobs
        for name, value in self.fixed.items():
            try:
                check_value(name, value, knobs)
            except ValueError as error:
                yield Problem(f"/fixed/{name}", str(error))
        for name, axis in self.space.items():
            if name not in knobs:
                yield Problem(f"/space/{name}", unknown("hyperparameter", name, knobs))
                continue
            detail = _axis_problem(name, axis, knobs)
            if detail is not None:
                yield Problem(f"/space/{name}", detail)
        yield from self._problems_with_axes()

    def _problems_with_axes(self) -> Iterator[Problem]:
        for name in self.space:
            if name in self.fixed and self.method != "recipe":
                yield Problem(f"/fixed/{name}", f"{name} stands under both space and fixed; remove one")
        for name in self.grid:
            if name not in self.space:
                yield Problem(
                    f"/grid/{name}",
                    unknown("axis", name, self.space) if self.space else f"{name} is not under space",
                )

    def _problems_with_method(self) -> Iterator[Problem]:
        if self.method == "recipe" and isinstance(self.task, CommandTask):
            yield Problem(
                "/method",
                "a command needs method grid or random: the recipe measures the model from inside, a command is closed",
            )
            return
        if self.method == "recipe":
            for name in ("epochs", "schedule"):
                if name in self.space:
                    yield Problem(f"/space/{name}", f"the recipe sets {name} itself; remove it from space")
            return
        if not self.space:
            yield Problem("/space", f"space is empty; a {self.method} study needs at least one axis")
            return
        if self.method == "random":
            if self.budget.trials is None:
                yield Problem("/budget/trials", "a random study needs budget.trials: how many points to draw")
            return
        yield from self._problems_with_grid()

    def _problems_with_grid(self) -> Iterator[Problem]:
        sized = True
        for name, axis in self.space.items():
            count = self.grid.get(name)
            if count is None and axis.choices is None and axis.step is None:
                yield Problem(
                    f"/grid/{name}", f"axis {name} needs a number of grid points: `grid: {{{name}: 4}}`"
                )
                sized = False
            elif count is not None and (axis.choices is not None or axis.step is not None):
                yield Problem(
                    f"/grid/{name}", f"axis {name} already lists its points; remove {name} from grid"
                )
                sized = False
            elif count is not None and count < 1:
                yield Problem(f"/grid/{name}", f"axis {name} needs at least 1 point, not {count}")
                sized = False
        if sized and grid_size(self.space, self.grid) * self.replicates > MAX_TRIALS:
            size = grid_size(self.space, self.grid) * self.replicates
            yield Problem(
                "/grid",
                f"the grid has {size:,} trials; at most {MAX_TRIALS:,} are allowed, use fewer points or method: random",
            )

    def _problems_with_objective(self) -> Iterator[Problem]:
        known = objective_metrics(self.task)
        if known is not None and self.objective.metric not in known:
            yield Problem("/objective/metric", unknown("metric", self.objective.metric, known))

    def _problems_with_augmentation(self) -> Iterator[Problem]:
        task = self.task
        if isinstance(task, CommandTask):
            return
        values = self._possible_values()
        shape = None
        if isinstance(task, NamedTask):
            side = min(int(size) for size in values["image_size"])
            shape = image_shape(task.dataset, task.model, side)
        asked = frozenset(self.fixed) | frozenset(self.space)
        for name, detail in contradictions(values, asked, shape, task.metric):
            yield Problem(f"/space/{name}" if name in self.space else f"/fixed/{name}", detail)

    def _possible_values(self) -> dict[str, tuple[ParamValue, ...]]:
        """Of each hyperparameter what trials may set: its axis's choices or ends, else its fixed value. One that
        the task declares itself is not the one of this name in the vocabulary, which then stays at its default.
        """
        values: dict[str, tuple[ParamValue, ...]] = {k: (v,) for k, v in self.hyperparameters().items()}
        for name, axis in self.space.items():
            listed: tuple[ParamValue, ...] = axis.choices if axis.choices is not None else axis.bounds
            # The recipe leaves an axis at its fixed value until a remedy moves it.
            values[name] = (*listed, *values[name]) if self.method == "recipe" else listed
        own = self.task.knobs if isinstance(self.task, FileTask) else {}
        return values | {name: (HYPERPARAMETERS[name].default,) for name in own if name in HYPERPARAMETERS}

    def _problems_with_settings(self) -> Iterator[Problem]:
        if isinstance(self.task, CommandTask):
            return
        values = self.hyperparameters()
        settings = Settings(values, self.fixed, {n: axis for n, axis in self.space.items() if n in values})
        named = self.task if isinstance(self.task, NamedTask) else None
        model = None if named is None else named.model
        yield from model_contradictions(settings, model)
        yield from weights_contradictions(settings, model, None if named is None else named.weights)
        yield from loading_contradictions(settings, None if named is None else named.dataset)
        yield from target_contradictions(settings, None if named is None else named.dataset)
        epochs = self.recipe.refine_epochs if self.method == "recipe" else settings.low("epochs")
        yield from loop_contradictions(settings, epochs)


def _axis_problem(name: str, axis: Axis, knobs: dict[str, Knob]) -> str | None:
    try:
        for value in axis.choices if axis.choices is not None else axis.bounds:
            check_value(name, value, knobs)
    except ValueError as error:
        return str(error)
    return None


def parse_spec(raw: Any) -> StudySpec:
    """A StudySpec from JSON-like data. Raises InvalidInput with every problem and its pointer."""
    try:
        return StudySpec.model_validate(raw)
    except ValidationError as error:
        problems = list(problems_of(error, StudySpec))
        raise InvalidInput(problems[0].detail, problems=problems) from None
