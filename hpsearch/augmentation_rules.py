"""Which augmentations contradict a task or each other: said when a study is created."""

from collections.abc import Iterator, Mapping

from hpsearch.space import ParamValue
from hpsearch.vocabulary import (
    DATASETS,
    IMAGE_KNOBS,
    MIXING_KNOBS,
    REGRESSION_LOSSES,
    is_on,
    size_problem,
)

# What does nothing unless another hyperparameter is one of these.
NEEDED = {
    "randaugment_m": ("randaugment_n", "at least 1"),
    "test_scale": ("test_time", "five_crop or ten_crop"),
    "test_scales": ("test_time", "five_crop or ten_crop"),
}

Values = Mapping[str, tuple[ParamValue, ...]]


def image_shape(dataset: str, model: str, image_size: int = 224) -> tuple[int, ...]:
    """One input of a named task; digits before an mlp are a table of 64 features."""
    if dataset == "image_folder":
        return (3, image_size, image_size)
    return (64,) if (dataset, model) == ("digits", "mlp") else DATASETS[dataset].shape


def contradictions(
    values: Values, asked: frozenset[str], shape: tuple[int, ...] | None, metric: str | None
) -> Iterator[tuple[str, str]]:
    """(hyperparameter, sentence). `values`: of each hyperparameter all that a study may set, or their hull;
    `asked`: the names it does set; `shape` of one input, None where only the task's code knows.
    """
    on = [name for name in (*IMAGE_KNOBS, "mixup") if _may_be_on(values, name)]
    yield from _with_inputs(values, on, shape)
    mixing = [name for name in MIXING_KNOBS if name in on]
    if len(mixing) > 1:
        yield "cutmix", "mixup and cutmix can't both be on; remove one"
    regression = [str(loss) for loss in values["loss"] if loss in REGRESSION_LOSSES]
    if metric in REGRESSION_LOSSES:
        regression.append(str(metric))
    for name in mixing if regression else ():
        yield name, f"{name} mixes class labels and can't go with {regression[0]}; remove {name}"
    for name, (other, wanted) in NEEDED.items():
        if name in asked and not _may_matter(values, other):
            yield name, f"{name} does nothing unless {other} is {wanted}; set {other} or remove {name}"


def _with_inputs(values: Values, on: list[str], shape: tuple[int, ...] | None) -> Iterator[tuple[str, str]]:
    if shape is None:
        return
    for name in on:
        if name in IMAGE_KNOBS and len(shape) != 3:
            yield (
                name,
                f"{name} changes images, and this task's inputs are vectors of {shape[0]} numbers; use model cnn or remove {name}",
            )
            continue
        problems = (size_problem(name, value, shape) for value in values[name])
        problem = next((problem for problem in problems if problem is not None), None)
        if problem is not None:
            yield name, problem


def _may_be_on(values: Values, name: str) -> bool:
    return any(is_on({name: value}, name) for value in values[name])


def _may_matter(values: Values, name: str) -> bool:
    """Whether what depends on `name` ever does something; a flip alone takes no crops."""
    return any(value not in (0, "none", "flip") for value in values[name])
