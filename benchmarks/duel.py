"""T16: Optuna's RDB storage, with heartbeat and retry, under the kill script that ours passes.

`python -m benchmarks.duel [--trials N] [--kills N] [--database sqlite|postgres]` lets eight processes work off a grid of N
points of 10 ms while they are killed with SIGKILL and replaced, evenly over the study's progress, first by Optuna's grid
sampler, then by hpsearch (whose server is killed as well). A point is lost if it never completed, repeated if it
completed more than once, stuck if a trial is still RUNNING at the end.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.fault_rows import FaultRow
from tests.faults.chaos import Script, run
from tests.faults.children import ForkServer
from tests.faults.postgres_process import PostgresProcess

WORKERS = 8
POINTS = 20
SECONDS = 0.01
HEARTBEAT = 1
GRACE = 2  # as our lease
PATIENCE_SECONDS = 90.0  # without a completed trial, after which the rest counts as lost or stuck


@dataclass(frozen=True)
class Row:
    name: str
    seconds: float
    kills: str
    lost: int
    repeated: int
    stuck: int

    def __str__(self) -> str:
        return (
            f"{self.name:24} {self.seconds:6.0f} s, killed {self.kills:26} "
            f"lost {self.lost:4}  repeated {self.repeated:4}  stuck {self.stuck:4}"
        )

    def figure(self, database: str, trials: int) -> FaultRow:
        return FaultRow(
            f"T16 duel, {database}, {self.name}",
            f"{trials} grid points of 10 ms, SIGKILL of {self.kills}",
            lost=self.lost,
            repeated=self.repeated,
            notes=f"{self.stuck} stuck in RUNNING at the end",
            seconds=self.seconds,
        )


def storage_of(url: str) -> Any:
    import optuna  # noqa: PLC0415 - the peer

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    return optuna.storages.RDBStorage(
        url,
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3),
    )


def study_of(url: str, points: int) -> Any:
    import optuna  # noqa: PLC0415 - the peer

    sampler = optuna.samplers.GridSampler({"x": list(range(points))}, seed=os.getpid())
    return optuna.create_study(
        study_name="duel", storage=storage_of(url), sampler=sampler, load_if_exists=True
    )


def optuna_worker(url: str, points: int) -> None:
    """As Optuna's documentation distributes a study: each process optimizes until the grid is exhausted."""

    def objective(trial: Any) -> float:
        x = trial.suggest_int("x", 0, points - 1)
        for step in range(POINTS):
            trial.report(x + step, step)
        time.sleep(SECONDS)
        return float(x)

    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    while True:
        try:
            study_of(url, points).optimize(objective)
            return
        except (
            Exception
        ):  # "database is locked", a trial finished by another: start again, as a supervisor would
            time.sleep(0.1)


def optuna_row(url: str, points: int, kills: int, seed: int) -> Row:
    import optuna  # noqa: PLC0415 - the peer

    study_of(url, points)
    fork_server = ForkServer(["optuna", "sqlalchemy", "benchmarks.duel"])

    def start() -> BaseProcess:
        return fork_server.start(optuna_worker, url, points)

    rng = random.Random(seed)
    processes = [start() for _ in range(WORKERS)]
    began, killed, quiet_since, done = time.monotonic(), 0, time.monotonic(), 0
    while (
        any(process.is_alive() for process in processes) and time.monotonic() - quiet_since < PATIENCE_SECONDS
    ):
        time.sleep(0.2)
        states = Counter(
            trial.state
            for trial in optuna.load_study(study_name="duel", storage=url).get_trials(deepcopy=False)
        )
        completed = states[optuna.trial.TrialState.COMPLETE]
        if completed > done:
            done, quiet_since = completed, time.monotonic()
        while killed < kills and (killed + 0.5) / kills * points <= done:
            victim = rng.randrange(WORKERS)
            processes[victim].kill()  # nothing where it has ended by itself
            processes[victim].join()
            processes[victim] = start()
            killed += 1
    seconds = time.monotonic() - began
    for process in processes:
        process.kill()
    trials = optuna.load_study(study_name="duel", storage=url).get_trials(deepcopy=False)
    ends = Counter(t.params.get("x") for t in trials if t.state is optuna.trial.TrialState.COMPLETE)
    return Row(
        f"Optuna {optuna.__version__}",
        seconds,
        f"{killed} workers",
        lost=points - len(ends),
        repeated=sum(count - 1 for count in ends.values()),
        stuck=sum(trial.state is optuna.trial.TrialState.RUNNING for trial in trials),
    )


def own_row(folder: Path, script: Script, database: PostgresProcess | None) -> Row:
    outcome = run(folder, script, database)
    counts = outcome.study.trial_counts
    return Row(
        "hpsearch",
        outcome.seconds,
        ", ".join(f"{count} {what}" for what, count in outcome.killed.items()),
        lost=script.trials - counts["completed"],  # type: ignore[index]
        repeated=sum(violation.kind == "repeated" for violation in outcome.violations),
        stuck=counts["running"],  # type: ignore[index]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--figures", type=Path, help="append the rows of benchmarks/faults.md there")
    chosen = parser.parse_args()
    script = Script(
        trials=chosen.trials,
        workers=WORKERS,
        worker_kills=chosen.kills,
        server_kills=chosen.kills // 5,
        max_trials=1,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = PostgresProcess(folder / "pg") if chosen.database == "postgres" else None
        url = f"sqlite:///{folder}/optuna.db"
        if database is not None:
            import psycopg  # noqa: PLC0415 - absent where Postgres is

            with psycopg.connect(database.url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE optuna")
            head, _, query = database.url.partition("?")
            url = f"{head.rpartition('/')[0]}/optuna?{query}".replace("postgresql", "postgresql+psycopg")
        print(
            f"{chosen.database}, {chosen.trials} grid points of {1000 * SECONDS:.0f} ms, {WORKERS} workers",
            flush=True,
        )
        for row in (
            own_row(folder / "own", script, database),
            optuna_row(url, chosen.trials, chosen.kills, 0),
        ):
            print(row, flush=True)
            if chosen.figures is not None:
                row.figure(chosen.database, chosen.trials).append_to(chosen.figures)
        if database is not None:
            database.stop()


if __name__ == "__main__":
    main()
