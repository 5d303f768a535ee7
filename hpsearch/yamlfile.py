"""A page of YAML 1.2 as plain data, its errors with file, line and column."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hpsearch.errors import InvalidInput

MAX_BYTES = 256 * 1024
MAX_NODES = 100_000  # a file of this size has fewer; only aliases of aliases have more
MAX_DEPTH = 50


@dataclass(frozen=True)
class Kind:
    """What a file is, in the words of errors: `a study file`, an example of one, what to do without one."""

    noun: str
    example: str
    absent: str


@dataclass(frozen=True)
class Document:
    """A mapping as it was written. `name` is the file's, for errors; `plain` its content as builtin types."""

    name: str
    root: CommentedMap
    plain: dict[str, Any]

    def place(self, pointer: str) -> tuple[int, int]:
        """(line, column), from 1, of the key or item a JSON pointer names, or of the nearest one around it."""
        place = (0, 0)
        node: Any = self.root
        for part in pointer.split("/")[1:]:
            if isinstance(node, CommentedMap) and part in node:
                place = node.lc.key(part) if part in (node.lc.data or {}) else place
                node = node[part]
            elif isinstance(node, CommentedSeq) and part.isdigit() and int(part) < len(node):
                place = node.lc.item(int(part))
                node = node[int(part)]
            elif not (
                isinstance(node, CommentedSeq) and part == "choices"
            ):  # a list is short for its choices
                break
        return place[0] + 1, place[1] + 1


def read(file: Path, kind: Kind) -> str:
    """The file's text. Raises InvalidInput where it can't be read, or is larger than a page."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{file} is larger than {MAX_BYTES // 1024} KiB; {kind.noun} is a page")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(f"no {kind.noun.partition(' ')[2]} {file}", hint=kind.absent) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput(f"can't read {file}: {error.strerror}") from None


def parse(text: str, name: str, kind: Kind) -> Document:
    """Raises InvalidInput for what is no YAML, no mapping, or grows without end."""
    if len(text) > MAX_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_BYTES // 1024} KiB; {kind.noun} is a page")
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
        raise InvalidInput(f"{name}: {kind.noun} is a mapping such as `{kind.example}`")
    return Document(name, document, _plain(document, name))


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
