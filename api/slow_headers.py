"""Hangs up on connections that never finish their request's header (Slowloris)."""

from collections.abc import Collection
from typing import Any, Protocol


class Connection(Protocol):
    """uvicorn's protocols, h11's and httptools' alike. `cycle` is the newest request whose header is whole."""

    cycle: Any
    timeout_keep_alive_task: Any
    transport: Any


class SlowHeaders:
    """Looks at all connections now and then; uvicorn itself only ends those that are silent after an answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Any, float] = {}

    def sweep(self, connections: Collection[Any], now: float) -> int:
        """Close what has waited for a header since `seconds` ago, by a steady clock. How many were closed."""
        self._waiting = {c: self._waiting.get(c, now) for c in connections if _lacks_header(c)}
        late = [c for c, since in self._waiting.items() if now - since >= self._seconds]
        for connection in late:
            connection.transport.abort()
        return len(late)


def _lacks_header(connection: Connection) -> bool:
    # Between two requests a timer of uvicorn's runs; the first byte of the next one stops it.
    if connection.cycle is None:
        return True
    return bool(connection.cycle.response_complete) and connection.timeout_keep_alive_task is None
