"""A command as the thing that is trained: what a study says of it, and what its process is given.

A command is a list of arguments and never a shell's text: a parameter's value stays inside its own argument
whatever characters it has.
"""

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, ValidationInfo, field_validator, model_validator

from hpsearch.errors import Problem, nearest, unknown
from hpsearch.records import Record
from hpsearch.space import Axis, Params, ParamValue

# Beside the study's own names, which come first.
CHANCE = ("seed", "replicate")
MAX_ARGUMENT = 10_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z")
# `{name}` is replaced; `{{name}}` is how an argument says `{name}`; any other brace stands for itself.
PLACEHOLDER = re.compile(r"\{(\{[A-Za-z_][A-Za-z0-9_.-]*\})\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
GROUP = re.compile(r"\(\?P<([A-Za-z_][A-Za-z0-9_]*)>")


class CommandTask(Record):
    """A program in any language that reports metrics. It runs in `folder`, inside the worker's own --tasks.

    `argv`: with placeholders `{name}`. `flags`: append `--name value` for each parameter that no placeholder
    names. `pattern`: a regular expression that is searched in each line of output; its named groups are
    metrics, and `step` the step. The server only reads the groups' names, it never compiles it. `script`: the
    file in `folder` that the command names, which a worker runs only with this SHA-256.
    """

    kind: Literal["command"] = "command"
    argv: Annotated[tuple[str, ...], FailFast()] = Field(min_length=1, max_length=1_000)
    flags: bool = False
    pattern: str | None = Field(default=None, min_length=1, max_length=1_000)
    folder: str = Field(default=".", max_length=1_000)
    script: str | None = Field(default=None, min_length=1, max_length=1_000)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @field_validator("argv")
    @classmethod
    def _can_be_executed(cls, argv: tuple[str, ...]) -> tuple[str, ...]:
        if not argv[0].strip():
            raise ValueError("the command's first word, the program to run, is empty")
        if any("\0" in word or len(word) > MAX_ARGUMENT for word in argv):
            raise ValueError(f"each argument must be text of at most {MAX_ARGUMENT:,} characters without NUL")
        return argv

    @field_validator("pattern")
    @classmethod
    def _names_groups(cls, pattern: str | None) -> str | None:
        if pattern is not None and not GROUP.search(pattern):
            raise ValueError("pattern needs a named group for each metric, such as `loss=(?P<val_loss>\\S+)`")
        return pattern

    @field_validator("folder", "script")
    @classmethod
    def _inside(cls, name: str | None, info: ValidationInfo) -> str | None:
        path = PurePosixPath(name or ".")
        if name and (path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name):
            raise ValueError(f"{info.field_name} must lie inside the study's own folder, not {name!r}")
        return name

    @model_validator(mode="after")
    def _script_with_digest(self) -> Self:
        if (self.script is None) != (self.sha256 is None):
            raise ValueError("a script and its sha256 go together; give both or neither")
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """The metrics that the pattern names."""
        found = GROUP.findall(self.pattern or "")
        return tuple(name for name in dict.fromkeys(found) if name != "step")

    @property
    def placeholders(self) -> tuple[str, ...]:
        names = (match.group(2) for word in self.argv for match in PLACEHOLDER.finditer(word))
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @property
    def title(self) -> str:
        return shlex.join(self.argv)


def short_forms(command: Any) -> dict[str, Any] | Problem:
    """`command:` of a study file as a task: a text, a list of arguments, or {run, flags, pattern, folder}."""
    if not isinstance(command, dict):
        command = {"run": command}
    keys = ("run", "flags", "pattern", "folder")
    for key in command:
        if key not in keys:
            return Problem(f"/command/{key}", unknown("key", str(key), keys))
    run = command.get("run")
    if isinstance(run, str):
        try:
            run = shlex.split(run)
        except ValueError as error:
            return Problem("/command", f"command can't be split into arguments: {str(error).lower()}")
    if not isinstance(run, list | tuple) or not run:
        return Problem("/command", "command must read like `python train.py --lr {learning_rate}`")
    argv = [word if isinstance(word, str) else json.dumps(word) for word in run]
    return {"kind": "command", "argv": argv, **{key: command[key] for key in keys[1:] if key in command}}


def problems(task: CommandTask, space: Mapping[str, Axis], fixed: Params) -> Iterator[Problem]:
    """What is wrong with a command study's names and values; they are its own, none is in the vocabulary."""
    names = {**dict.fromkeys(fixed, "/fixed"), **dict.fromkeys(space, "/space")}
    variables: dict[str, str] = {}
    for name, place in names.items():
        if not NAME.match(name):
            detail = "must be 1-100 letters, digits, '_', '.' or '-' and begin with a letter or '_'"
            yield Problem(f"{place}/{name}", f"parameter {name[:100]!r} {detail}")
            continue
        other = variables.setdefault(variable(name), name)
        if other != name:
            yield Problem(f"{place}/{name}", f"{name} and {other} would share the variable {variable(name)}")
    for name, value in fixed.items():
        if (why := _unsayable(value)) is not None:
            yield Problem(f"/fixed/{name}", f"{name} {why}")
    for name, axis in space.items():
        if any(_unsayable(choice) for choice in axis.choices or ()):
            yield Problem(
                f"/space/{name}", f"{name} has a choice with NUL or over {MAX_ARGUMENT:,} characters"
            )
    for name in task.placeholders:
        if name not in names and name not in CHANCE:
            near = nearest(name, [*names, *CHANCE])
            hint = f"did you mean {{{near}}}?" if near else f"write {{{{{name}}}}} for the text itself"
            yield Problem(
                "/task/argv", f"command names {{{name}}}, which is not under space or fixed; {hint}"
            )


def _unsayable(value: ParamValue) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be finite"
    if isinstance(value, str) and ("\0" in value or len(value) > MAX_ARGUMENT):
        return f"must be text of at most {MAX_ARGUMENT:,} characters without NUL"
    return None


def text_of(value: ParamValue) -> str:
    """A value as a command reads it: `true`, `64`, `0.0001`, text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def arguments(task: CommandTask, params: Params, *, seed: int, replicate: int) -> list[str]:
    """The arguments of one trial. `params` are all of its parameters, fixed ones included."""
    values = {"seed": str(seed), "replicate": str(replicate)}
    values.update({name: text_of(value) for name, value in params.items()})

    def filled(match: re.Match[str]) -> str:
        literal, name = match.groups()
        return str(literal) if literal is not None else values[name]

    argv = [PLACEHOLDER.sub(filled, word) for word in task.argv]
    if task.flags:
        placed = set(task.placeholders)
        for name in params:
            if name not in placed:
                argv += [f"--{name}", values[name]]
    return argv


def variable(name: str) -> str:
    """The environment variable that holds a parameter: HPSEARCH_PARAM_LEARNING_RATE."""
    return f"HPSEARCH_PARAM_{re.sub('[^A-Z0-9]', '_', name.upper())}"


def variables(params: Params) -> dict[str, str]:
    """The parameters as variables, one each, and all of them as one JSON object."""
    return {
        "HPSEARCH_PARAMS": json.dumps(params),
        **{variable(name): text_of(value) for name, value in params.items()},
    }
