"""Calls that arrive while one is being carried out are carried out together: in one thread, with one commit."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

import anyio.to_thread

from hpsearch.errors import Unavailable

Q = TypeVar("Q")
A = TypeVar("A")
MOST = 32  # calls at once: what comes after them must not wait for too many


class Together(Generic[Q, A]):
    """`work` takes several calls and answers them in their order, an exception where one is to be raised.

    A call alone is begun at once; nobody waits for company. A caller has its answer when `work` has returned,
    so what `work` commits is durable before anyone hears of it. Where `work` raises, nothing of it may have
    been stored: then each call is carried out by itself, and none suffers for another. Use it on one event loop.
    """

    def __init__(self, work: Callable[[Sequence[Q]], Sequence[A | Exception]]) -> None:
        self._work = work
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._busy: asyncio.Task[None] | None = None

    async def __call__(self, asked: Q) -> A:
        """The answer to one call. Raises what `work` has for it."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._busy is None:
            # In a context of nobody's: what is logged there belongs to no single request.
            self._busy = asyncio.create_task(self._carry_out_all(), context=Context())
        return await answer

    async def _carry_out_all(self) -> None:
        calls: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while self._waiting:
                calls, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                found = await anyio.to_thread.run_sync(self._carry_out, [asked for asked, _ in calls])
                for (_, answer), one in zip(calls, found, strict=True):
                    _settle(answer, one)
        finally:
            self._busy = None
            for _, answer in [*calls, *self._waiting]:
                answer.cancel()  # only where the loop ends under them: else all are settled
            self._waiting.clear()

    def _carry_out(self, asked: Sequence[Q]) -> Sequence[A | Exception]:
        try:
            return self._work(asked)
        except Unavailable as away:  # it would be for each of them too
            return [away for _ in asked]
        except Exception as error:
            if len(asked) == 1:
                return [error]
            return [answer for one in asked for answer in self._carry_out([one])]


def _settle(answer: "asyncio.Future[A]", found: A | Exception) -> None:
    if answer.done():
        return  # its caller has gone
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
