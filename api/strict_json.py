"""JSON by RFC 8259, bounded before it is parsed: what the grammar forbids and Python's parser allows is refused."""

import json
import math
import re
from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_VALUES = 100_000  # a full report is 20,000 numbers; a million empty lists would take 60 MiB as objects
MAX_FIELDS = 1_000  # of one object: each unknown name is answered with the nearest known one
SEPARATORS = b",[{:"
OTHER_BYTES = bytes(set(range(256)) - set(b'"' + SEPARATORS))
MARK = re.compile(rb'"[^"]*"?|([,\[{:])')  # a string, or a separator as group 1


class NotUtf8(ValueError):
    """The one encoding of JSON that travels (RFC 8259, section 8.1). To guess another is to count another body's values."""


def parse_json(body: bytes) -> Any:
    """JSON with finite numbers, whole numbers within 64 bits, at most 32 levels, 1,000 fields
    an object and 100,000 values.

    Raises NotUtf8 for bytes in another encoding, json.JSONDecodeError for anything else.
    """
    text = _text(body)
    if _has_too_many_values(body):
        raise json.JSONDecodeError(f"more than {MAX_VALUES:,} values", "", 0)
    try:
        value = json.loads(text, parse_constant=_not_json, parse_float=_finite, parse_int=_int64)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError(f"nested deeper than {MAX_DEPTH} levels", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
    excess = _excess(value)
    if excess:
        raise json.JSONDecodeError(excess, "", 0)
    return value


def _text(body: bytes) -> str:
    # JSON begins with ASCII, so that a zero byte this early is half of a wider character (RFC 4627, section 3).
    if b"\0" not in body[:4]:
        with suppress(UnicodeDecodeError):
            return body.decode("utf-8-sig")  # with or without the mark that some editors write
    raise NotUtf8("the body is not UTF-8, the one encoding of JSON that is read here")


def _has_too_many_values(body: bytes) -> bool:
    """Each value but the first follows a separator. In time and memory that grow with the body and no faster:
    the server does nothing else meanwhile, and the body may be anything."""
    if sum(body.count(mark) for mark in SEPARATORS) <= MAX_VALUES:
        return False
    # Without what is escaped, a string ends at the next quote.
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = MARK.finditer(plain.translate(None, OTHER_BYTES))
    # Where strings are more than separators they stand side by side, which is no JSON: no need to go on.
    kinds = Counter(mark.lastindex for mark in islice(marks, 2 * MAX_VALUES + 1))
    return max(kinds.values()) > MAX_VALUES


def _not_json(text: str) -> NoReturn:
    raise ValueError(
        f'{text} is not JSON; non-finite numbers travel as the strings "NaN", "Infinity", "-Infinity"'
    )


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _int64(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"the whole number {text[:40]} does not fit in 64 bits")
    return int(text)


def _excess(value: Any) -> str | None:
    """What is too much about a value, level by level; None where it is of a bearable shape."""
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [item for item in layer if isinstance(item, dict | list)]
        if not containers:
            return None
        if any(isinstance(item, dict) and len(item) > MAX_FIELDS for item in containers):
            return f"more than {MAX_FIELDS:,} fields in one object"
        layer = [
            child for item in containers for child in (item.values() if isinstance(item, dict) else item)
        ]
    return f"nested deeper than {MAX_DEPTH} levels"
