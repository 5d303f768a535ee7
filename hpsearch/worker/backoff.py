"""How long to wait before asking an absent server again."""

import random

from hpsearch.errors import HpsearchError


class Backoff:
    """Full jitter: a uniform draw from zero to a ceiling that doubles ("Exponential Backoff And Jitter", AWS)."""

    def __init__(self, rng: random.Random, *, first_seconds: float = 0.5, most_seconds: float = 10.0) -> None:
        self._rng = rng
        self._first = first_seconds
        self._most = most_seconds
        self._ceiling = first_seconds

    def next_seconds(self, error: HpsearchError | None = None) -> float:
        """How long to wait now; after an `error` with a Retry-After never shorter than that."""
        ceiling, self._ceiling = self._ceiling, min(2 * self._ceiling, self._most)
        drawn = self._rng.uniform(0, ceiling)
        return drawn if error is None else error.retry_after_seconds + drawn

    def reset(self) -> None:
        self._ceiling = self._first
