"""What a server must know of a user's `Task` class, read from its source and never by running it."""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.errors import InvalidInput, unknown
from hpsearch.tasks import FileTask
from hpsearch.vocabulary import Knob

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class _Source:
    """A task file as it was read: its classes by name, and the words that errors start with."""

    name: str
    classes: Mapping[str, ast.ClassDef]

    def error(self, node: ast.AST, detail: str) -> InvalidInput:
        return InvalidInput(f"{self.name}:{getattr(node, 'lineno', 1)}: {detail}")


def read_task(folder: Path, file: str, class_name: str) -> FileTask:
    """The class `class_name` of `folder/file`, bound to the file's SHA-256.

    `knobs` and `metric` must be literals in the class body or in that of a base class in the same file.
    Raises InvalidInput where file or class is missing, the file isn't Python, or the knobs can't be read.
    """
    raw = _read(folder / file, file)
    source = _parse(raw, file)
    if class_name not in source.classes:
        raise InvalidInput(f"{file}: {unknown('class', class_name, list(source.classes) or ['(none)'])}")
    attributes = _attributes(source, source.classes[class_name])
    return FileTask(
        file=file,
        class_name=class_name,
        sha256=hashlib.sha256(raw).hexdigest(),
        knobs=_knobs(source, class_name, attributes.get("knobs")),
        metric=_metric(attributes.get("metric")),
    )


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"task file {name} is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        hint = f"Python files there: {', '.join(beside)}" if beside else None
        raise InvalidInput(f"no task file {name} beside the study file", hint=hint) from None
    except OSError as error:
        raise InvalidInput(f"can't read task file {name}: {error.strerror}") from None


def _parse(raw: bytes, name: str) -> _Source:
    try:
        tree = ast.parse(raw, filename=name)
    except SyntaxError as error:
        raise InvalidInput(f"{name}:{error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{name} is not a Python file: {error}") from None
    return _Source(name, {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)})


def _attributes(
    source: _Source, node: ast.ClassDef, seen: frozenset[str] = frozenset()
) -> dict[str, ast.AST]:
    """Class attributes and methods by name, those of base classes in the same file beneath its own."""
    found: dict[str, ast.AST] = {}
    for base in reversed(node.bases):
        if isinstance(base, ast.Name) and base.id in source.classes and base.id not in seen | {node.name}:
            found.update(_attributes(source, source.classes[base.id], seen | {node.name}))
    found.update(_own(node))
    return found


def _own(node: ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, statement
            case _:
                pass


def _knobs(source: _Source, class_name: str, node: ast.AST | None) -> dict[str, Knob]:
    if node is None:
        return {}
    written = f"the knobs of {class_name} must be written out as {{name: {{low, high, default}}}}"
    try:
        raw: Any = ast.literal_eval(node) if isinstance(node, ast.expr) else None
    except (ValueError, TypeError, SyntaxError, RecursionError):
        raise source.error(node, f"{written}, without names or calls: they are read, not run") from None
    if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw):
        raise source.error(node, written)
    return {name: _knob(source, node, name, words) for name, words in raw.items()}


def _knob(source: _Source, node: ast.AST, name: str, words: Any) -> Knob:
    if not isinstance(words, dict):
        raise source.error(node, f"knob {name!r} must be written as {{low, high, default}}, not {words!r}")
    try:
        knob = Knob.parse(words)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in item["loc"])
        detail = str(item.get("ctx", {}).get("error") or item["msg"])
        raise source.error(node, f"knob {name!r}: {where + ': ' if where else ''}{detail}") from None
    except ValueError as error:
        raise source.error(node, f"knob {name!r}: {error}") from None
    if not knob.axis.contains(knob.default):
        raise source.error(node, f"knob {name!r}: its default {knob.default!r} is outside its own range")
    return knob


def _metric(node: ast.AST | None) -> str | None:
    """The metric's name, or None where it is a function or inherited from elsewhere."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
