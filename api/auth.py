"""Who may ask: a token on every path but a literal few, and a scope on every route."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Literal
from weakref import WeakValueDictionary

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import TooManyRequests, problem_response
from api.known_tokens import KnownTokens
from api.redaction import TOKEN, redacted
from api.resources import Resources
from api.session import COOKIE
from hpsearch.errors import Forbidden, HpsearchError, Unauthorized
from hpsearch.records import Token, TokenId
from hpsearch.service import tokens

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version", "/login"})
OPEN_PREFIXES = ("/static/",)
# Never by cookie: whatever a browser could be made to send, the API does not hear it.
HEADER_ONLY_PREFIXES = ("/api/", "/metrics")
MAX_TOKEN_LENGTH = 256
MINUTE = 60.0
MAX_CALLERS = 10_000  # callers with bad tokens that are remembered

Role = Literal["admin", "user", "worker", "viewer"]
Refuse = Callable[[HpsearchError, Scope], ASGIApp]


def is_open(path: str) -> bool:
    """Whether a path needs no token."""
    return path in OPEN_PATHS or (path.startswith(OPEN_PREFIXES) and ".." not in path)


class Gate:
    """Knows tokens by their secrets, and slows down callers who guess.

    `known`: whoever revokes a token makes it forget.
    """

    def __init__(
        self, resources: Callable[[], Resources], bad_tokens_per_minute: int, known: KnownTokens
    ) -> None:
        self._resources = resources
        self._failures = _Failures(bad_tokens_per_minute)
        self.known = known
        self._turns: WeakValueDictionary[TokenId, asyncio.Lock] = WeakValueDictionary()

    async def admit(self, secret: str, scope: Scope) -> Token:
        """The token of this secret. Raises Unauthorized, or TooManyRequests after too many of those."""
        held = self._resources()
        token = await self._token(held, secret) if len(secret) <= MAX_TOKEN_LENGTH else None
        if token is None:
            self._failures.count((scope.get("client") or ("",))[0], held.clock())
            raise _no_such_token()
        return token

    async def admit_still(self, request: Request) -> None:
        """For one that was admitted and has waited since. Raises Unauthorized where its token is good no more."""
        token: Token = request.state.token
        # Of many that one ring woke, the first asks the database for all who bring the same token.
        async with self._turns.setdefault(token.id, asyncio.Lock()):
            if await self._token(self._resources(), request.state.secret) is None:
                raise _no_such_token()

    async def _token(self, held: Resources, secret: str) -> Token | None:
        now = held.clock()
        known = self.known.get(secret)
        if known is not None and tokens.is_valid(known, now):
            return known
        ticket = self.known.ticket
        token = await anyio.to_thread.run_sync(partial(tokens.authenticate, held.db, secret, now=now))
        if token is not None:
            self.known.remember(secret, token, ticket)
        return token


def _no_such_token() -> Unauthorized:
    return Unauthorized(
        "this token is unknown, expired or revoked", hint="ask the server's admin for a token"
    )


def refusal(error: HpsearchError, scope: Scope) -> ASGIApp:
    """The problem, with a pause where there were too many."""
    headers = {"Retry-After": "60"} if error.status == HTTPStatus.TOO_MANY_REQUESTS else None
    return problem_response(error, scope, headers)


class AuthMiddleware:
    """Default deny, before routing: mounts, unknown paths and the schema need a token too.

    Reads the Authorization header, on the pages also the session's cookie; never the query. `refuse` answers
    who isn't let in.
    """

    def __init__(self, app: ASGIApp, gate: Gate, refuse: Refuse = refusal) -> None:
        self.app = app
        self._gate = gate
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and is_open(scope["path"])):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        secret = ""
        try:
            secret = _secret(Headers(scope=scope), scope["path"])
            token = await self._gate.admit(secret, scope)
        except HpsearchError as error:
            if TOKEN.fullmatch(secret):  # perhaps one that expired: whose, its row tells
                scope.setdefault("state", {})["stranger"] = f"token {redacted(secret)}"
            await self._refuse(error, scope)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(token=token, secret=secret)
        await self.app(scope, receive, send)


def _secret(headers: Headers, path: str) -> str:
    """The token that a request brings. Raises Unauthorized where there is none."""
    authorization = headers.get("authorization")
    if authorization is None and not path.startswith(HEADER_ONLY_PREFIXES):
        secret = _of_cookie(headers)
    else:
        scheme, _, rest = (authorization or "").partition(" ")
        secret = rest.strip() if scheme.lower() == "bearer" else ""
    if not secret:
        raise Unauthorized(
            "this needs a token: Authorization: Bearer …",
            hint="on the server's machine it is in the home's token file; elsewhere set HPSEARCH_TOKEN",
        )
    return secret


def _of_cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


class _Failures:
    """Bad tokens by caller and minute. A good token is never refused: many workers may share an address."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, caller: str, now: datetime) -> None:
        """Raises TooManyRequests above the limit."""
        minute = now.timestamp() // MINUTE
        since, count = self._counts.pop(caller, (minute, 0))
        count = count + 1 if since == minute else 1
        self._counts[caller] = (minute, count)
        if len(self._counts) > MAX_CALLERS:
            self._counts.popitem(last=False)
        if count > self._per_minute:
            raise TooManyRequests(
                f"more than {self._per_minute} bad tokens within a minute",
                hint="give the right one, which is taken at once; of a wrong one you will be told again in a minute",
            )


class Allow:
    """A route's dependency: admins and the named roles may pass. Raises Forbidden."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles) | {"admin"}

    def permits(self, token: Token) -> bool:
        return token.scope in self.roles

    async def __call__(self, request: Request) -> None:
        token: Token = request.state.token
        if not self.permits(token):
            raise Forbidden(
                f"a {token.scope} token may not {request.method} {request.url.path}",
                hint=f"this takes a token with scope {' or '.join(sorted(self.roles))}",
            )


# Who reads, who decides, who trains.
VIEW = Allow("viewer", "user")
CHANGE = Allow("user")
WORK = Allow("worker")
ADMINISTER = Allow()
