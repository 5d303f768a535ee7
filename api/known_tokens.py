"""Tokens that were good a moment ago, so that not every request reads the database for its own."""

import hashlib
import threading
from collections.abc import Callable

from hpsearch.records import Token

SECONDS = 1.0  # that a token which another server revoked may still be taken here
MOST = 10_000


class KnownTokens:
    """By their secrets' digests: no secret is kept. Thread-safe. `monotonic`: seconds that never jump.

    What this server revokes it must `forget`; what another server revokes is known for `SECONDS` at most.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Token, float]] = {}
        self._revocations = 0

    def get(self, secret: str) -> Token | None:
        """The token as the database had it a moment ago. It may have expired since."""
        token, until = self._known.get(_digest(secret), (None, 0.0))
        return token if self._monotonic() < until else None

    @property
    def ticket(self) -> tuple[int, float]:
        """Take it before asking the database."""
        return self._revocations, self._monotonic()

    def remember(self, secret: str, token: Token, ticket: tuple[int, float]) -> None:
        """What the database said after the ticket was taken; forgotten already where one was revoked since."""
        revocations, asked = ticket
        with self._lock:
            if revocations != self._revocations:
                return
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[_digest(secret)] = (token, asked + SECONDS)

    def forget(self) -> None:
        """A token was revoked: from now on each is asked of the database again."""
        with self._lock:
            self._revocations += 1
            self._known.clear()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
