from datetime import UTC, datetime, timedelta

from hpsearch.service.clock import SteadyClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class Machine:
    def __init__(self) -> None:
        self.wall = START
        self.steady = 100.0

    def pass_seconds(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


def test_a_wall_clock_that_is_set_is_seen_where_the_clock_is_read_and_nowhere_else() -> None:
    machine = Machine()
    clock = SteadyClock(lambda: machine.wall, lambda: machine.steady)
    machine.pass_seconds(5)
    assert clock() == START + timedelta(seconds=5)
    machine.wall -= timedelta(days=3_650)
    machine.pass_seconds(1)
    assert clock() == START + timedelta(seconds=6)
    clock.read()
    assert clock() == machine.wall
    machine.pass_seconds(1)
    assert clock() == machine.wall
