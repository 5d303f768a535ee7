import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import TooLarge
from hpsearch.records import Checkpoint, Outcome, RunId, WorkerId
from hpsearch.worker.backlog import Backlog
from hpsearch.worker.pipe import Saved
from hpsearch.worker.reporter import Reporter
from hpsearch.worker.uploader import Result, Uploader
from tests.worker.fake_server import FakeServer, Name

LARGE, SMALL = RunId(1), RunId(2)
DONE = Outcome(state="completed", value=1.0)


class Capped(FakeServer):
    """Takes checkpoints of at most 1,000 bytes."""

    def upload_checkpoint(
        self, run_id: RunId, worker_id: WorkerId, name: Name, step: int, path: Path, /
    ) -> Checkpoint:
        if path.stat().st_size > 1_000:
            raise TooLarge("more than it takes", hint="raise the limit")
        return super().upload_checkpoint(run_id, worker_id, name, step, path)


@pytest.fixture
def server() -> FakeServer:
    return Capped()


@pytest.fixture
def uploader(server: FakeServer, tmp_path: Path) -> Iterator[Uploader]:
    def fail(error: Exception) -> None:
        raise error

    rng = random.Random(0)
    reporter = Reporter(
        server, WorkerId(1), Backlog(tmp_path / "b"), rng, lambda run_id: None, fail, interval_seconds=0.05
    )
    reporter.open([LARGE, SMALL])
    reporter.start()
    made = Uploader(server, WorkerId(1), reporter, rng, lambda run_id: None, fail)
    made.start()
    yield made
    made.close()
    reporter.close()


def result(folder: Path, run_id: RunId, size: int) -> Result:
    folder.mkdir()
    path = folder / "best"
    path.write_bytes(bytes(size))
    return Result(run_id, DONE, folder, saved=(Saved(name="best", step=1, path=path),), urgent=True)


def test_a_checkpoint_above_the_servers_limit_is_given_up_and_its_result_goes_out(
    server: FakeServer, uploader: Uploader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uploader.submit(result(tmp_path / "1", LARGE, 2_000))
    uploader.submit(result(tmp_path / "2", SMALL, 500))
    assert server.wait_for_outcomes([LARGE, SMALL], 5) == [DONE, DONE]
    assert list(server.checkpoints) == [(SMALL, "best")]
    assert "run 1 ends without its best checkpoint: more than it takes; raise the limit" in caplog.text
