"""Tokens: only admins make, see and revoke them."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from api.auth import ADMINISTER, Gate
from api.bodies import StrictRoute
from api.parameters import Held
from hpsearch.records import Token, TokenId
from hpsearch.service import tokens
from hpsearch.wire import CreateToken, TokenCreated, TokenList

router = APIRouter(tags=["tokens"], route_class=StrictRoute, dependencies=[Depends(ADMINISTER)])


@router.post("/tokens", operation_id="create_token", status_code=201)
def create_token(body: CreateToken, held: Held) -> TokenCreated:
    """The answer is the only place where the secret is ever shown."""
    created = tokens.create(held.db, body, now=held.clock())
    _log("token created", created.token)
    return created


@router.get("/tokens", operation_id="list_tokens")
def list_tokens(held: Held) -> TokenList:
    return tokens.list_all(held.db)


@router.delete("/tokens/{token}", operation_id="revoke_token")
def revoke_token(token: Annotated[TokenId, Path(ge=1, lt=2**63)], held: Held, request: Request) -> Token:
    """From now on the token is refused, and what waits by it ends. Idempotent."""
    gate: Gate = request.app.state.gate
    revoked = tokens.revoke(held.db, token, now=held.clock())
    gate.known.forget()
    _log("token revoked", revoked)
    held.ring()
    return revoked


def _log(event: str, token: Token) -> None:
    # What is called a token and is not a number is hidden there.
    told = {"token": token.id, "named": token.name, "scope": token.scope}
    logging.getLogger("api").info(event, extra=told)
