"""Hyperparameters of one run, from a YAML file and from `name=value` words."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpsearch import yamlfile
from hpsearch.errors import InvalidInput, Problem
from hpsearch.space import Params
from hpsearch.vocabulary import Knob, check_value

KIND = yamlfile.Kind(
    noun="a params file",
    example="{learning_rate: 0.1, weight_decay: 0}",
    absent="give a YAML file of `name: value` lines, or use --set name=value",
)


def load_params(file: Path, knobs: Mapping[str, Knob]) -> Params:
    """The file's values in each knob's own type.

    Raises InvalidInput with every problem: file, line and column, the nearest name for an unknown one.
    """
    document = yamlfile.parse(yamlfile.read(file, KIND), str(file), KIND)
    params: Params = {}
    problems: list[Problem] = []
    for name, value in document.plain.items():
        try:
            params[name] = _checked(name, value, knobs)
        except ValueError as error:
            line, column = document.place(f"/{name}")
            problems.append(Problem(f"/{name}", f"{document.name}:{line}:{column}: {error}"))
    if problems:
        raise InvalidInput(problems[0].detail, problems=problems)
    return params


def parse_settings(words: Iterable[str], knobs: Mapping[str, Knob]) -> Params:
    """`name=value` words, values as YAML writes them; a later word wins. Raises InvalidInput."""
    params: Params = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--set {word!r} must read like learning_rate=0.1")
        try:
            value = yamlfile.parse(f"value: {text}", f"--set {name}", KIND).plain["value"]
            params[name] = _checked(name, value, knobs)
        except ValueError as error:
            raise InvalidInput(f"--set {name}: {error}") from None
    return params


def _checked(name: str, value: Any, knobs: Mapping[str, Knob]) -> Any:
    """Raises ValueError with one sentence."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{name} must be one value, not {value!r}")
    return check_value(name, value, knobs)
