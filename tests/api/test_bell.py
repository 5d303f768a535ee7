import asyncio
import threading

from api.bell import Bell


def test_a_ring_from_another_thread_wakes_every_waiter() -> None:
    async def scene() -> None:
        bell = Bell()
        bell.attach(asyncio.get_running_loop())
        waiters = [asyncio.create_task(bell.wait(bell.ticket, 30)) for _ in range(3)]
        await asyncio.sleep(0)
        threading.Thread(target=bell.ring).start()
        async with asyncio.timeout(5):
            await asyncio.gather(*waiters)

    asyncio.run(scene())


def test_a_ring_between_ticket_and_wait_is_not_missed() -> None:
    async def scene() -> None:
        bell = Bell()
        bell.attach(asyncio.get_running_loop())
        ticket = bell.ticket
        bell.ring()
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await bell.wait(ticket, 30)

    asyncio.run(scene())


def test_a_wait_ends_by_itself_and_a_bell_without_a_loop_is_silent() -> None:
    bell = Bell()
    bell.ring()
    asyncio.run(bell.wait(bell.ticket, 0.01))
