"""study.yaml -> StudySpec, with errors that name file, line and column."""

from pathlib import Path
from typing import Any

from hpsearch import yamlfile
from hpsearch.command import CommandTask
from hpsearch.commandscript import with_script
from hpsearch.errors import InvalidInput, Problem
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.taskfile import read_task

FILE_NAME = "study.yaml"
KIND = yamlfile.Kind(
    noun="a study file",
    example="task: {dataset: digits, model: mlp}",
    absent=f"give a study file, or a folder that holds {FILE_NAME}",
)


def load(path: Path) -> StudySpec:
    """The study in `path`, or in `path/study.yaml` where `path` is a folder.

    Raises InvalidInput: what can't be read or is wrong, every problem with its line and column.
    """
    file = path / FILE_NAME if path.is_dir() else path
    return loads(yamlfile.read(file, KIND), folder=file.parent, name=str(file))


def loads(text: str, *, folder: Path, name: str = FILE_NAME) -> StudySpec:
    """The study in `text`. `folder`: where its task file lies and what it is called after; `name`: for errors.

    Raises InvalidInput, as `load`.
    """
    document = yamlfile.parse(text, name, KIND)
    raw = {"name": folder.absolute().name.replace("_", "-"), **document.plain}
    try:
        spec = parse_spec({**raw, "task": _task(raw["task"], folder)} if "task" in raw else raw)
    except InvalidInput as error:
        problems = error.problems or (Problem("/task", error.message),)
        if "command" in raw:  # which is where this file says its task
            problems = tuple(
                Problem(p.pointer.replace("/task", "/command", 1), p.detail)
                if p.pointer.startswith("/task")
                else p
                for p in problems
            )
        raise _located(problems, document, error.hint) from None
    if isinstance(spec.task, CommandTask):
        return spec.model_copy(update={"task": with_script(spec.task, folder)})
    return spec


def _task(raw: Any, folder: Path) -> Any:
    """`task.py:Class` is a task file, a mapping names data set and model."""
    match raw:
        case str():
            file, _, class_name = raw.rpartition(":")
            if not file or not class_name:
                raise InvalidInput(
                    f"task {raw!r} must read like `task.py:MyModel` or {{dataset: ..., model: ...}}"
                )
            if not _inside(file):
                return {"kind": "file", "file": file, "class_name": class_name, "sha256": "0" * 64}
            return read_task(folder, file, class_name).model_dump(mode="python")
        case dict():
            return {"kind": "named", **raw}
        case _:
            raise InvalidInput("task must read like `task.py:MyModel` or {dataset: digits, model: mlp}")


def _inside(file: str) -> bool:
    """Whether the spec accepts this path; where it doesn't, nothing is read and the spec says why."""
    path = Path(file)
    return not path.is_absolute() and ".." not in path.parts and path.suffix == ".py" and "\0" not in file


def _located(problems: tuple[Problem, ...], document: yamlfile.Document, hint: str | None) -> InvalidInput:
    located = sorted(((document.place(p.pointer), p) for p in problems), key=lambda item: item[0])
    listed = [
        Problem(p.pointer, f"{document.name}:{line}:{column}: {p.detail}") for (line, column), p in located
    ]
    return InvalidInput(listed[0].detail, hint=hint, problems=listed)
