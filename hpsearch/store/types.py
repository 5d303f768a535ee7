"""Column types that mean the same on SQLite and Postgres."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect, Double, Integer, String, Text
from sqlalchemy.types import TypeDecorator

# One encoder: json.dumps would build a new one for every value of every row.
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode

# SQLite numbers rows by itself only for a column of exactly the type INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class Timestamp(TypeDecorator[datetime]):
    """An aware datetime, stored as seconds since 1970 (UTC): one clock, exact comparisons, no time zones."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value} has no time zone")
        return value.timestamp()

    def process_result_value(self, value: float | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Json(TypeDecorator[Any]):
    """A JSON value as text. Non-finite numbers survive as Python's NaN and Infinity tokens.

    Escaping to ASCII keeps NUL characters and lone surrogates, which Postgres would refuse.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _ENCODE(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class PlainText(TypeDecorator[str]):
    """Text of any origin; what UTF-8 or Postgres can't hold (lone surrogates, NUL) becomes U+FFFD or `?`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Label(TypeDecorator[str]):
    """The same for short text of bounded length, such as a name that is looked up."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text without what UTF-8 or Postgres can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")
