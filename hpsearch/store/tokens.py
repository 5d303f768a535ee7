"""Rows of tokens. A secret is never here: only its SHA-256 and a prefix to find it by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, bindparam, insert, or_, select, text, update

from hpsearch.records import Token, TokenId
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import tokens

# Every request asks: built once.
_BY_PREFIX = select(tokens).where(tokens.c.prefix == bindparam("prefix"))


def insert_token(
    tx: Transaction,
    *,
    name: str,
    scope: Literal["admin", "user", "worker", "viewer"],
    prefix: str,
    sha256: str,
    expires_at: datetime | None,
    now: datetime,
) -> Token:
    values = {
        "name": name,
        "scope": scope,
        "prefix": prefix,
        "sha256": sha256,
        "created_at": now,
        "expires_at": expires_at,
    }
    return _record(tx.execute(insert(tokens).values(values).returning(tokens)).one())


def by_prefix(tx: Transaction, prefix: str) -> Sequence[tuple[Token, str]]:
    """(token, its secret's SHA-256) of those that begin so."""
    rows = tx.execute(_BY_PREFIX, {"prefix": prefix})
    return [(_record(row), row.sha256) for row in rows]


def lock(tx: Transaction) -> None:
    """No other transaction makes a token until this one ends; SQLite's own writers take turns anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE"))


def valid(tx: Transaction, *, now: datetime) -> dict[str, TokenId]:
    """Names of tokens that are neither revoked nor expired."""
    lasting = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
    rows = tx.execute(select(tokens.c.name, tokens.c.id).where(tokens.c.revoked_at.is_(None), lasting))
    return {row.name: TokenId(row.id) for row in rows}


def get(tx: Transaction, token_id: TokenId) -> Token | None:
    row = tx.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    return None if row is None else _record(row)


def every(tx: Transaction) -> list[Token]:
    return [_record(row) for row in tx.execute(select(tokens).order_by(tokens.c.id))]


def revoke(tx: Transaction, token_id: TokenId, *, now: datetime) -> Token | None:
    """Revoked from now on, or since it first was."""
    tx.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return get(tx, token_id)


def _record(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scope=row.scope,
        prefix=row.prefix,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
