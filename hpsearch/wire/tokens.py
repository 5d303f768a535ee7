"""Making tokens, and listing them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hpsearch.records import Record, Token


def _line(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise ValueError(f"must be one line of printable characters, not {name!r}")
    return name


class TokenList(Record):
    tokens: tuple[Token, ...]


class CreateToken(Record):
    """`name` is no other valid token's."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_line)]
    scope: Literal["admin", "user", "worker", "viewer"]
    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86_400)


class TokenCreated(Record):
    """The only time the secret is shown."""

    token: Token
    secret: str
