from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hpsearch.service import clock as clocks
from hpsearch.service.clock import SteadyClock, steady_clock_name

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


def test_a_steady_clock_is_named_by_the_host_and_by_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks.platform, "node", lambda: "localhost")
    monkeypatch.setattr(clocks, "BOOT_ID", tmp_path / "boot_id")
    without = steady_clock_name()
    assert without == steady_clock_name()
    (tmp_path / "boot_id").write_text("0a1b\n")
    assert steady_clock_name() == "localhost 0a1b"
    assert without.startswith("localhost ")
    assert without != steady_clock_name()
