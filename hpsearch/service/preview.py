"""What a study would train and cost, before anything is stored."""

import itertools
from collections.abc import Iterable

from hpsearch.command import CommandTask
from hpsearch.recipe import find_lr, overfit
from hpsearch.recipe.coarse import EXTENSIONS as COARSE_EXTENSIONS
from hpsearch.recipe.history import History
from hpsearch.recipe.refine import TOP
from hpsearch.samplers import random
from hpsearch.space import Params, grid_points
from hpsearch.spec import StudySpec
from hpsearch.spec_size import check_size
from hpsearch.tasks import NamedTask
from hpsearch.vocabulary import DATASETS
from hpsearch.wire import Preview

SHOWN = 1_000
# Random draws that are looked at where the cost differs by point; more are extrapolated.
LOOKED_AT = 10_000
COSTLY = ("epochs", "batch_size")


def preview(spec: StudySpec) -> Preview:
    """The exact points (at most 1,000 shown), the trials, and what they cost in epochs and steps.

    Raises InvalidInput for a spec that is too large to be stored.
    """
    check_size(spec)
    if spec.method == "recipe":
        return _of_recipe(spec)
    points = grid_points(spec.space, spec.grid) if spec.method == "grid" else random.points(spec)
    shown = tuple(itertools.islice(points, SHOWN))
    count = len(shown) if len(shown) < SHOWN else spec.points()
    trials = count * spec.replicates
    closed = isinstance(spec.task, CommandTask)  # what a command's trial costs is not known
    epochs, steps, exact = (0.0, None, True) if closed else _cost(spec, count)
    text = f"{trials:,} trials: {count:,} points"
    text += f" × {spec.replicates} replicates" if spec.replicates > 1 else ""
    text += "" if closed else f", {'' if exact else 'about '}{epochs:,.6g} epochs in all"
    if spec.method == "grid" and spec.budget.trials is not None and spec.budget.trials < trials:
        text += f"; the budget ends it after {spec.budget.trials:,} trials"
    return Preview(
        method=spec.method,
        trials=trials,
        points=shown,
        shown=len(shown),
        epochs=epochs,
        steps=None if steps is None else round(steps),
        text=text,
    )


def _cost(spec: StudySpec, count: int) -> tuple[float, float | None, bool]:
    """(epochs, steps where the data set's size is known, whether exact) of `count` points in all."""
    costly = {name: axis for name, axis in spec.space.items() if name in COSTLY}
    if spec.method == "grid":
        # Axes that change no cost only multiply it.
        looked: Iterable[Params] = grid_points(costly, spec.grid)
    elif costly:
        looked = itertools.islice(random.points(spec), LOOKED_AT)
    else:
        looked = ({},)
    costs = [_point_cost(spec, params) for params in looked]
    factor = count / len(costs) * spec.replicates
    epochs = sum(cost[0] for cost in costs) * factor
    known = [cost[1] for cost in costs if cost[1] is not None]
    steps = sum(known) * factor if len(known) == len(costs) else None
    exact = spec.method == "grid" or not costly or count <= LOOKED_AT
    return epochs, steps, exact


def _point_cost(spec: StudySpec, params: Params) -> tuple[float, int | None]:
    """(epochs, steps) of one trial; a partial last batch is dropped."""
    values = spec.hyperparameters(params)
    epochs, batch = float(values["epochs"]), int(values["batch_size"])
    per_epoch = _steps_per_epoch(spec, batch)
    return epochs, None if per_epoch is None else round(epochs * per_epoch)


def _steps_per_epoch(spec: StudySpec, batch: int) -> int | None:
    if not isinstance(spec.task, NamedTask):
        return None
    size = DATASETS[spec.task.dataset].train_size
    return max(1, size // batch) if size else None


def _of_recipe(spec: StudySpec) -> Preview:
    """The most that the recipe trains if every gate needs all its extensions and no remedy trains longer."""
    history = History(spec, (), ())
    rates = find_lr.start_rates(history)
    searched = len(rates) + 2 * find_lr.EXTENSIONS
    side = 3 + 2 * COARSE_EXTENSIONS  # values of learning rate, and of weight decay
    coarse = side * side
    refined = spec.recipe.rounds * (TOP * 9 + TOP * (spec.recipe.replicates - 1))
    ladder = sum(len(rung.rates) for rung in overfit.ladder(history)) + 1
    most = 1 + ladder + searched + coarse + refined + spec.recipe.replicates
    trials = most if spec.budget.trials is None else min(most, spec.budget.trials)
    epochs = (
        coarse * spec.recipe.coarse_epochs + (refined + spec.recipe.replicates) * spec.recipe.refine_epochs
    )
    points = tuple(history.point(learning_rate=rate) for rate in rates)
    text = (
        f"at most {trials:,} trials and {epochs:,.6g} epochs in {spec.recipe.rounds} refined rounds; usually far "
        f"fewer, more only where a verdict says to train longer. It starts from these {len(points)} points"
    )
    return Preview(
        method=spec.method,
        trials=trials,
        points=points,
        shown=len(points),
        epochs=epochs,
        steps=None,
        text=text,
    )
