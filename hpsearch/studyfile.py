"""study.yaml -> StudySpec, with errors that name file, line and column."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hpsearch.command import CommandTask
from hpsearch.commandscript import with_script
from hpsearch.errors import InvalidInput, Problem
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.taskfile import read_task

FILE_NAME = "study.yaml"
MAX_BYTES = 256 * 1024
MAX_NODES = 100_000  # a file of this size has fewer; only aliases of aliases have more
MAX_DEPTH = 50


def load(path: Path) -> StudySpec:
    """The study in `path`, or in `path/study.yaml` where `path` is a folder.

    Raises InvalidInput: what can't be read or is wrong, every problem with its line and column.
    """
    file = path / FILE_NAME if path.is_dir() else path
    return loads(_read(file), folder=file.parent, name=str(file))


def loads(text: str, *, folder: Path, name: str = FILE_NAME) -> StudySpec:
    """The study in `text`. `folder`: where its task file lies and what it is called after; `name`: for errors.

    Raises InvalidInput, as `load`.
    """
    if len(text) > MAX_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_BYTES // 1024} KiB; a study file is a page")
    document = _parse(text, name)
    raw = _plain(document, name)
    raw.setdefault("name", folder.absolute().name.replace("_", "-"))
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
        raise _located(problems, document, name, error.hint) from None
    if isinstance(spec.task, CommandTask):
        return spec.model_copy(update={"task": with_script(spec.task, folder)})
    return spec


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{file} is larger than {MAX_BYTES // 1024} KiB; a study file is a page")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            f"no study file {file}", hint=f"give a study file, or a folder that holds {FILE_NAME}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput(f"can't read {file}: {error.strerror}") from None


def _parse(text: str, name: str) -> CommentedMap:
    try:
        # Round-trip mode builds plain data only, no Python objects, and keeps lines and columns.
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        said = [part.split("\n")[0].strip() for part in (error.context, error.problem) if part]
        what = ", ".join(said) or "not YAML"
        raise InvalidInput(f"{where}: {what}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        first = str(error).strip().split("\n")[0] or "nested too deeply"
        raise InvalidInput(f"{name}: not YAML: {first}") from None
    if not isinstance(document, CommentedMap):
        raise InvalidInput(
            f"{name}: a study file is a mapping such as `task: {{dataset: digits, model: mlp}}`"
        )
    return document


def _plain(document: CommentedMap, name: str) -> dict[str, Any]:
    """The document as builtin types, copied out of its aliases; refuses what would grow without end."""
    nodes = 0

    def copy(value: Any, depth: int) -> Any:
        nonlocal nodes
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise InvalidInput(f"{name}: aliases or nesting make this document too large")
        if isinstance(value, dict):
            return {_key(key, name): copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, depth + 1) for item in value]
        return _scalar(value)

    plain = copy(document, 0)
    assert isinstance(plain, dict)
    return plain


def _scalar(value: Any) -> Any:
    """ruamel's own number and string types as Python's."""
    match value:
        case None | bool():
            return value
        case int():
            return bool(value) if type(value).__name__ == "ScalarBoolean" else int(value)
        case float():
            return float(value)
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _key(key: Any, name: str) -> str:
    if isinstance(key, str):
        return str(key)
    raise InvalidInput(f"{name}: key {key!r} must be a word; put it in quotes")


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


def _located(
    problems: tuple[Problem, ...], document: CommentedMap, name: str, hint: str | None
) -> InvalidInput:
    located = sorted(_placed(problems, document), key=lambda item: item[0])
    listed = [Problem(p.pointer, f"{name}:{line}:{column}: {p.detail}") for (line, column), p in located]
    return InvalidInput(listed[0].detail, hint=hint, problems=listed)


def _placed(
    problems: tuple[Problem, ...], document: CommentedMap
) -> Iterator[tuple[tuple[int, int], Problem]]:
    for problem in problems:
        yield _place(document, problem.pointer), problem


def _place(document: CommentedMap, pointer: str) -> tuple[int, int]:
    """(line, column), from 1, of the key or item a pointer names, or of the nearest one around it."""
    place = (0, 0)
    node: Any = document
    for part in pointer.split("/")[1:]:
        if isinstance(node, CommentedMap) and part in node:
            place = node.lc.key(part) if part in (node.lc.data or {}) else place
            node = node[part]
        elif isinstance(node, CommentedSeq) and part.isdigit() and int(part) < len(node):
            place = node.lc.item(int(part))
            node = node[int(part)]
        elif not (isinstance(node, CommentedSeq) and part == "choices"):  # a list is short for its choices
            break
    return place[0] + 1, place[1] + 1
