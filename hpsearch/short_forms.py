"""What a study file may leave out or say more shortly."""

from typing import Any

from hpsearch import command
from hpsearch.errors import Problem
from hpsearch.sentences import SpecProblems
from hpsearch.vocabulary import knobs_of


def written_out(raw: Any) -> Any:
    """What `raw` says in short, in full. Raises SpecProblems."""
    return _with_kind_of_task(_with_command(_with_int_axes(raw)))


def _with_int_axes(raw: Any) -> Any:
    """A range of a whole-number hyperparameter is an int axis without saying so."""
    if not isinstance(raw, dict) or not isinstance(raw.get("space"), dict):
        return raw
    whole = {name for name, knob in knobs_of({}).items() if knob.axis.type == "int"}
    space = {
        name: {"type": "int", **axis}
        if name in whole and isinstance(axis, dict) and "choices" not in axis
        else axis
        for name, axis in raw["space"].items()
    }
    return {**raw, "space": space}


def _with_command(raw: Any) -> Any:
    """`command:` is short for a task of that kind."""
    if not isinstance(raw, dict) or "command" not in raw:
        return raw
    if "task" in raw:
        raise SpecProblems([Problem("/command", "a study has either a task or a command; remove one")])
    task = command.short_forms(raw["command"])
    if isinstance(task, Problem):
        raise SpecProblems([task])
    return {**{key: value for key, value in raw.items() if key != "command"}, "task": task}


def _with_kind_of_task(raw: Any) -> Any:
    """A task says by its keys whether it is a named one, a file or a command."""
    if not isinstance(raw, dict) or not isinstance(raw.get("task"), dict) or "kind" in raw["task"]:
        return raw
    kind = "file" if "file" in raw["task"] else "command" if "argv" in raw["task"] else "named"
    return {**raw, "task": {"kind": kind, **raw["task"]}}
