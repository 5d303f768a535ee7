"""Tokens: 256 random bits of which only a digest is kept."""

import hashlib
import hmac
import itertools
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import Token, TokenId
from hpsearch.store import tokens
from hpsearch.store.engine import Database, retried
from hpsearch.wire import CreateToken, TokenCreated, TokenList

MARK = "hps_"  # by which scanners recognise a leaked secret
PREFIX_LENGTH = 12
SECRET_LENGTH = len(MARK) + 43  # 32 bytes in base64url


@retried
def create(db: Database, body: CreateToken, *, now: datetime, numbered: bool = False) -> TokenCreated:
    """A new token; its secret is in this answer and nowhere else.

    Raises Conflict where a valid token has that name; with `numbered` a number is put behind it instead.
    """
    secret = MARK + secrets.token_urlsafe(32)
    seconds = body.expires_in_seconds
    with db.write() as tx:
        tokens.lock(tx)
        token = tokens.insert_token(
            tx,
            name=_free_name(body.name, tokens.valid(tx, now=now), numbered),
            scope=body.scope,
            prefix=secret[:PREFIX_LENGTH],
            sha256=_digest(secret),
            expires_at=None if seconds is None else now + timedelta(seconds=seconds),
            now=now,
        )
    return TokenCreated(token=token, secret=secret)


def _free_name(name: str, taken: Mapping[str, TokenId], numbered: bool) -> str:
    if name not in taken:
        return name
    if not numbered:
        raise Conflict(
            f"token {taken[name]} is called {name!r}, and is still valid",
            hint=f"choose another name, or end that one first: hpsearch token revoke {taken[name]}",
        )
    return next(free for n in itertools.count(2) if (free := f"{name} {n}") not in taken)


def list_all(db: Database) -> TokenList:
    """Every token without its secret, revoked ones too."""
    with db.read() as tx:
        return TokenList(tokens=tuple(tokens.every(tx)))


@retried
def revoke(db: Database, token_id: TokenId, *, now: datetime) -> Token:
    """Refused from now on. Idempotent; raises NotFound."""
    with db.write() as tx:
        token = tokens.revoke(tx, token_id, now=now)
    if token is None:
        raise NotFound(f"no token {token_id}", hint="`hpsearch token list` shows all")
    return token


def authenticate(db: Database, secret: str, *, now: datetime) -> Token | None:
    """The token of this secret, or None where it is unknown, expired or revoked."""
    if len(secret) != SECRET_LENGTH or not secret.isascii():
        return None
    digest = _digest(secret)
    with db.read() as tx:
        candidates = tokens.by_prefix(tx, secret[:PREFIX_LENGTH])
    for token, stored in candidates:
        if hmac.compare_digest(digest, stored):
            return token if is_valid(token, now) else None
    return None


def is_valid(token: Token, now: datetime) -> bool:
    """Neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def _digest(secret: str) -> str:
    # A plain hash suffices for a secret of 256 random bits: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
