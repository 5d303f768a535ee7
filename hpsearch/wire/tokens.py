"""Making tokens, and listing them."""

from typing import Literal

from pydantic import Field

from hpsearch.records import Record, Token


class TokenList(Record):
    tokens: tuple[Token, ...]


class CreateToken(Record):
    name: str = Field(min_length=1, max_length=100)
    scope: Literal["admin", "user", "worker", "viewer"]
    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86_400)


class TokenCreated(Record):
    """The only time the secret is shown."""

    token: Token
    secret: str
