"""What the service costs beyond the training: a grid beside two bare processes that share the list.

`python benchmarks/overhead.py [--short]` prints, in one run, for 2 workers on this machine:
  1. short digits trials, at least 20 s of training per worker: wall-clock ratio to the floor;
  2. 15 ms trials: what a trial costs beyond its training, and what it costs Optuna's grid sampler on SQLite
     with two processes, on the first 150 of the same points.
The floor: two Python processes that import torch, take the next point of a shared list, train it with the
same trainer and record nothing. Cold starts (imports, server, database) are printed apart.
"""

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from hpsearch.client import Client
from hpsearch.home import Home
from hpsearch.records import Outcome, TrialPlan
from hpsearch.samplers.grid import plan as grid_plans
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.wire import Assignment

WORKERS = 2


def study(name: str, rates: int, decays: int, epochs: int, hidden: int) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "named", "dataset": "digits", "model": "mlp"},
            "method": "grid",
            "space": {
                "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
                "weight_decay": {"low": 1e-6, "high": 1e-3, "log": True},
            },
            "grid": {"learning_rate": rates, "weight_decay": decays},
            "fixed": {"epochs": epochs, "momentum": 0.9, "hidden_units": hidden},
        }
    )


# --- the floor -----------------------------------------------------------------------------------


def trained(spec: StudySpec, plan: TrialPlan, folder: str) -> Outcome:
    """One trial by the trainer alone."""
    from hpsearch.training.program import Place, run_program  # noqa: PLC0415 - torch is part of the cold start

    assignment = Assignment(
        task=spec.task,
        fixed=spec.fixed,
        params=plan.params,
        program=plan.program,
        budget=plan.budget,
        objective=spec.objective,
        seed=spec.seed,
    )
    place = Place("cpu", Path(folder), Path(folder), None)
    outcome = run_program(assignment, place, lambda series: None, lambda: False)
    assert outcome.state == "completed", outcome.message
    return outcome


def imported() -> None:
    from hpsearch.training import program  # noqa: F401, PLC0415
    from hpsearch.training.preload import preload  # noqa: PLC0415

    preload()


def bare_process(spec: StudySpec, barrier: Barrier, counter: Any, folder: str) -> None:
    imported()
    plans = list(grid_plans(spec))
    barrier.wait()
    while True:
        with counter.get_lock():
            index = counter.value
            counter.value += 1
        if index >= len(plans):
            return
        trained(spec, plans[index], folder)


def optuna_process(spec: StudySpec, barrier: Barrier, counter: Any, folder: str) -> None:
    """The peer: the same points by GridSampler; `counter` counts the trials it ran."""
    imported()
    import optuna  # noqa: PLC0415 - part of the cold start

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plan = next(iter(grid_plans(spec)))
    points = {name: axis.grid(spec.grid.get(name)) for name, axis in spec.space.items()}

    def objective(trial: optuna.Trial) -> float:
        params = {name: trial.suggest_categorical(name, values) for name, values in points.items()}
        with counter.get_lock():
            counter.value += 1
        return trained(spec, plan.model_copy(update={"params": params}), folder).value or 0.0

    url = f"sqlite:///{Path(folder).parent / 'optuna.db'}"
    sampler = optuna.samplers.GridSampler(points, seed=0)
    with counter.get_lock():  # two processes that create the schema together break it
        peer = optuna.create_study(
            storage=url, study_name="peer", sampler=sampler, direction="maximize", load_if_exists=True
        )
    barrier.wait()
    peer.optimize(objective)


def side_by_side(process_main: Callable[..., None], spec: StudySpec) -> tuple[float, float, int]:
    """(cold start, wall clock, the counter's end) of two processes that begin the list together."""
    context = multiprocessing.get_context("spawn")
    barrier, counter = context.Barrier(WORKERS + 1), context.Value("i", 0)
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / str(i) for i in range(WORKERS)]
        for each in folders:
            each.mkdir()
        began = time.perf_counter()
        processes = [
            context.Process(target=process_main, args=(spec, barrier, counter, str(each))) for each in folders
        ]
        for process in processes:
            process.start()
        barrier.wait()
        ready = time.perf_counter()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        return ready - began, time.perf_counter() - ready, counter.value


# --- the service ---------------------------------------------------------------------------------


@contextmanager
def service(folder: Path) -> Iterator[tuple[Client, float]]:
    """A server and two workers with one slot each, ready to train; and what that cold start took."""
    home = Home.locate(folder / "home").create()
    environment = {**os.environ, "HPSEARCH_HOME": str(home.path)}
    command = [sys.executable, "-m", "hpsearch.cli.main"]
    began = time.perf_counter()
    log = (folder / "log").open("wb")
    server = subprocess.Popen([*command, "serve", "--port", "0"], env=environment, stdout=log, stderr=log)
    while (address := home.read_address()) is None or home.read_token() is None:
        time.sleep(0.02)
    workers = [
        subprocess.Popen(
            [*command, "worker", "start", "--server", address.url, "--name", f"bench-{i}", "--slots", "1"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        for i in range(WORKERS)
    ]
    client = Client(address.url, home.read_token())
    try:
        while len(client.workers()) < WORKERS:
            time.sleep(0.05)
        run_study(client, study("warm-up", 2, 2, 1, 16))  # both fork servers have imported torch
        yield client, time.perf_counter() - began
    finally:
        for process in [*workers, server]:
            process.send_signal(signal.SIGTERM)
        for process in [*workers, server]:
            process.wait(30)


def run_study(client: Client, spec: StudySpec) -> tuple[float, float, int]:
    """(wall clock from creating the study to its end, seconds of training in all, trials)."""
    began = time.perf_counter()
    handle = client.create_study(spec)
    handle.wait()
    wall = time.perf_counter() - began
    trials = list(handle.trials())
    assert all(trial.state == "completed" for trial in trials), [trial.state for trial in trials][:20]
    training = sum(trial.record.measurement("seconds") for trial in trials)
    return wall, training, len(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a quarter of the work, for a quick look")
    short = parser.parse_args().short
    grid = study("short-trials", 4 if short else 22, 6, 60, 128)
    tiny = study("tiny-trials", 20 if short else 40, 15, 2, 32)
    with tempfile.TemporaryDirectory() as folder:
        for spec, what in ((grid, "short trials"), (tiny, "tiny trials")):
            cold_floor, wall_floor, _ = side_by_side(bare_process, spec)
            with service(Path(tempfile.mkdtemp(dir=folder))) as (client, cold):
                wall, training, count = run_study(client, spec)
            print(
                f"{what}: {count} trials on {WORKERS} workers, {training / WORKERS:.1f} s of training per worker"
            )
            print(f"  cold start        bare {cold_floor:6.2f} s   service {cold:6.2f} s")
            print(
                f"  wall clock        bare {wall_floor:6.2f} s   service {wall:6.2f} s   ratio {wall / wall_floor:.3f}"
            )
            beyond = WORKERS * 1000 * (wall - wall_floor) / count
            print(
                f"  beyond training   {beyond:.1f} ms of a worker's time per trial ({1000 * training / count:.1f} ms of training)"
            )
    few = study("peer", 10, 15, 2, 32)
    _, wall_floor, _ = side_by_side(bare_process, few)
    _, wall_peer, ran = side_by_side(optuna_process, few)
    beyond = WORKERS * 1000 * (wall_peer - wall_floor) / few.points()
    print(
        f"Optuna on the first {few.points()} tiny trials: ran {ran}, {beyond:.1f} ms beyond training per point"
    )


if __name__ == "__main__":
    main()
