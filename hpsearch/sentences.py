"""pydantic's errors as the house says them: a JSON pointer, one sentence, the nearest valid name."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from hpsearch.errors import Problem, unknown
from hpsearch.records import Record
from hpsearch.space import Axis
from hpsearch.tasks import NamedTask
from hpsearch.vocabulary import HYPERPARAMETERS


class SpecProblems(ValueError):
    """Several problems found at once, carried through pydantic."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(p.detail for p in problems))
        self.problems = problems


def problems_of(error: ValidationError, model: type[Record]) -> Iterator[Problem]:
    """pydantic's errors as pointers and single sentences, unknown keys with the nearest valid name."""
    return describe(error.errors(include_url=False), model)


def describe(items: Iterable[Any], model: type[Any] | None) -> Iterator[Problem]:
    """The same of pydantic's error items; `model` is where valid names are looked up, if it is known."""
    for item in items:
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, SpecProblems):
            yield from inner.problems
            continue
        location = _without_tag([str(part) for part in item["loc"]])
        pointer = "".join(f"/{part}" for part in location)
        yield Problem(pointer, _sentence(item, location, model))


def _without_tag(location: list[str]) -> list[str]:
    """pydantic puts a union's tag into the location; the document has no such level."""
    at = location.index("task") + 1 if "task" in location else len(location)
    return (
        location[:at] + location[at + 1 :]
        if location[at : at + 1] in (["named"], ["file"], ["command"])
        else location
    )


def _sentence(item: Any, location: list[str], model: type[Any] | None) -> str:
    where = ".".join(location) or "the document"
    if item["type"] == "extra_forbidden":
        keys = _keys_at(model, location[:-1])
        if location[-1] in HYPERPARAMETERS and "fixed" in keys:
            return f"unknown key {location[-1]!r}: a hyperparameter is set under 'fixed' or searched under 'space'"
        return unknown("key", location[-1], keys or ["(none)"])
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] == "value_error":
        message = str(item["ctx"]["error"])
        return message if location == [] or location[-1] in message.split(" ")[0:3] else f"{where}: {message}"
    shown = repr(item["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return f"{where}: {item['msg'][0].lower()}{item['msg'][1:]}, not {shown}"


_NESTED: dict[str, type[Any]] = {"task": NamedTask, "space": Axis}


def _keys_at(model: type[Any] | None, location: list[str]) -> list[str]:
    """The field names valid at a place in the document; empty where any key is allowed."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        if not fields or part not in fields:
            current = next((_NESTED[p] for p in location if p in _NESTED), None)
            break
        annotation = fields[part].annotation
        current = annotation if hasattr(annotation, "model_fields") else _NESTED.get(part)
    return list(getattr(current, "model_fields", {}))
