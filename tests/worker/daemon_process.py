# ruff: noqa: T201
"""A worker daemon with a server in memory, in a process of its own: `python daemon_process.py HOME CLASS`.

It trains two trials of the class on two slots, prints `training PID PID ...` (its descendants) when both have
reported points, or have left a file `deaf-*` in HOME, and at the end each run's state and the checkpoints.
"""

import logging
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from hpsearch.records import RunId
from hpsearch.worker.daemon import Daemon, Order
from hpsearch.worker.settings import Limits, WorkerSettings
from tests.worker.fake_server import FakeServer, file_task

HERE = Path(__file__).parent


def announce(server: FakeServer, runs: tuple[RunId, ...], home: Path) -> None:
    while not all(server.points.get(run) for run in runs) and len(list(home.glob("deaf-*"))) < len(runs):
        time.sleep(0.01)
    print("training", *(child.pid for child in psutil.Process().children(recursive=True)), flush=True)


def main(home: Path, class_name: str) -> None:
    logging.basicConfig(level=logging.INFO)
    server = FakeServer()
    task = file_task(HERE / "tasks.py", class_name)
    runs = tuple(
        run for _ in range(2) for run in server.plan({"learning_rate": 0.1}, task=task, epochs=10_000)
    )
    settings = WorkerSettings(
        server="http://fake",
        token="s3cret",
        home=home,
        data_dir=home / "data",
        tasks_dir=HERE,
        slots=2,
        device="cpu",
        report_interval_seconds=0.1,
        limits=Limits(drain=60),
    )
    daemon = Daemon(settings, server, random.Random())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.order(Order.DRAIN))
    threading.Thread(target=announce, args=(server, runs, home), daemon=True).start()
    daemon.run()
    print(*(server.outcomes[run].state for run in runs), *sorted(name for _, name in server.checkpoints))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
