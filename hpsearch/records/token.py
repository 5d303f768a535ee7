"""Who may do what."""

from datetime import datetime
from typing import Literal

from hpsearch.records.record import Record, TokenId


class Token(Record):
    """A token without its secret."""

    id: TokenId
    name: str
    scope: Literal["admin", "user", "worker", "viewer"]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
