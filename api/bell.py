"""Wakes requests that wait inside this process. A wait always has a time-out too: other servers on the
same database can't ring this bell."""

import asyncio


class Bell:
    """Rung from any thread; heard by coroutines of one event loop.

    Take a `ticket` before looking for what is awaited, then wait with it: a ring in between is not missed.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop the waiters live. Before this, a ring is heard by nobody."""
        self._loop = loop

    @property
    def ticket(self) -> asyncio.Event:
        return self._event

    def ring(self) -> None:
        """Wake everyone who waits. Thread-safe; a ring after the loop has closed does nothing."""
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, ticket: asyncio.Event, seconds: float) -> None:
        """Return at the next ring after the ticket was taken, at the latest after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await ticket.wait()
        except TimeoutError:
            return
