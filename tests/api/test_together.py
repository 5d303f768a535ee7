import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from api.together import MOST, Together
from hpsearch.errors import NotFound, Unavailable


class Work:
    """Answers a number with its double, once its gate is open; says which calls came together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(asked))
        self.begun.set()
        assert self.gate.wait(10)
        return [self.answer(number) for number in asked]

    def answer(self, number: int) -> int | Exception:
        return 2 * number


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(timed())


async def asked_while_busy(work: Work, together: Together[int, int], numbers: Sequence[int]) -> list[Any]:
    """Call with 0; with all others while that is under way; then let it go on."""
    first = asyncio.create_task(together(0))
    await asyncio.to_thread(work.begun.wait, 10)
    rest = [asyncio.create_task(together(number)) for number in numbers]
    await asyncio.sleep(0)
    work.gate.set()
    return await asyncio.gather(first, *rest, return_exceptions=True)


def test_calls_that_arrive_while_one_is_under_way_are_carried_out_together() -> None:
    async def scene() -> None:
        work = Work()
        assert await asked_while_busy(work, Together(work), [1, 2, 3]) == [0, 2, 4, 6]
        assert work.batches == [[0], [1, 2, 3]]

    played(scene)


def test_no_more_than_so_many_wait_for_each_other() -> None:
    async def scene() -> None:
        work = Work()
        numbers = list(range(1, MOST + 3))
        answers = await asked_while_busy(work, Together(work), numbers)
        assert answers == [2 * number for number in [0, *numbers]]
        assert [len(batch) for batch in work.batches] == [1, MOST, 2]

    played(scene)


def test_an_answer_that_is_an_error_is_its_callers_alone() -> None:
    class OneIsUnknown(Work):
        def answer(self, number: int) -> int | Exception:
            return NotFound("no 2") if number == 2 else super().answer(number)

    async def scene() -> None:
        work = OneIsUnknown()
        zero, one, two, three = await asked_while_busy(work, Together(work), [1, 2, 3])
        assert (zero, one, three) == (0, 2, 6)
        assert isinstance(two, NotFound)
        assert len(work.batches) == 2

    played(scene)


def test_a_call_that_breaks_the_work_breaks_no_other() -> None:
    class BreaksAtTwo(Work):
        def answer(self, number: int) -> int | Exception:
            if number == 2:
                raise ValueError("a bug")
            return super().answer(number)

    async def scene() -> None:
        work = BreaksAtTwo()
        zero, one, two, three = await asked_while_busy(work, Together(work), [1, 2, 3])
        assert (zero, one, three) == (0, 2, 6)
        assert isinstance(two, ValueError)
        assert work.batches == [[0], [1, 2, 3], [1], [2], [3]]

    played(scene)


def test_a_database_that_is_away_is_asked_once_for_all() -> None:
    class Away(Work):
        def answer(self, number: int) -> int | Exception:
            raise Unavailable("the database is away")

    async def scene() -> None:
        work = Away()
        answers = await asked_while_busy(work, Together(work), [1, 2])
        assert all(isinstance(answer, Unavailable) for answer in answers)
        assert work.batches == [[0], [1, 2]]

    played(scene)


def test_a_caller_that_went_away_leaves_the_others_their_answers() -> None:
    async def scene() -> None:
        work = Work()
        together = Together(work)
        gone = asyncio.create_task(together(0))
        await asyncio.to_thread(work.begun.wait, 10)
        stays = asyncio.create_task(together(1))
        await asyncio.sleep(0)
        gone.cancel()
        work.gate.set()
        assert await stays == 2
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await together(5) == 10

    played(scene)
