"""T11 and T12 with real daemons and a real server: a trial that kills its daemon, and daemons told to end."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.home import Home
from hpsearch.records import FailureReason, RunState, TrialState
from hpsearch.spec import StudySpec, parse_spec
from tests.faults.conftest import Figure

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
TASKS = Path(__file__).with_name("misbehaving.py")
StartDaemon = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    settings = Settings(
        home=Home(tmp_path / "home"), port=0, lease_seconds=10, reaper_seconds=0.5, min_free_mib=0
    )
    with background(settings) as address, Client(address.url, settings.home.read_token()) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, client: Client) -> Iterator[StartDaemon]:
    daemons: list[subprocess.Popen[bytes]] = []
    home = Home(tmp_path / "home")

    def begin(slots: int = 1, **more: Any) -> "subprocess.Popen[bytes]":
        address = home.read_address()
        assert address is not None
        command = [sys.executable, "-m", "hpsearch.cli.main", "worker", "start", "--server", address.url]
        command += ["--name", "node", "--slots", str(slots), "--device", "cpu", "--tasks", str(TASKS.parent)]
        environment = {
            **os.environ,
            "HPSEARCH_HOME": str(tmp_path / "node"),
            "HPSEARCH_TOKEN": str(home.read_token()),
        }
        with (tmp_path / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        daemons.append(daemon)
        return daemon

    yield begin
    for daemon in daemons:
        if daemon.poll() is None:
            daemon.terminate()
            daemon.wait(30)


def study(class_name: str, rates: list[float], **more: Any) -> StudySpec:
    digest = hashlib.sha256(TASKS.read_bytes()).hexdigest()
    return parse_spec(
        {
            "name": "study",
            "task": {"kind": "file", "file": TASKS.name, "class_name": class_name, "sha256": digest},
            "method": "grid",
            "space": {"learning_rate": rates},
            "objective": {"metric": "val_loss", "direction": "minimize"},
            **more,
        }
    )


def wait_for(what: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_trial_that_kills_its_daemon_is_poison_after_three_times_and_its_log_is_shown(
    client: Client, start: StartDaemon, figure: Figure
) -> None:
    handle = client.create_study(study("Poison", [1.0, 0.1], fixed={"epochs": 1}))
    daemons = 0
    while handle.state == "running":
        daemon = start()
        daemons += 1
        wait_for(lambda daemon=daemon: daemon.poll() is not None or handle.state != "running")
        assert daemons <= 5
    bad, good = sorted(handle.trials(), key=lambda trial: -float(trial.params["learning_rate"]))
    assert (bad.state, bad.refresh().reason) == (TrialState.FAILED, FailureReason.POISON)
    assert good.state is TrialState.COMPLETED
    assert [run.state for run in bad.runs()] == [RunState.LOST] * 3
    assert bad.log() == "this trial is poison\n"
    figure(
        "T11 poison",
        "a trial that kills its daemon",
        notes="failed (poison) after three, its neighbour completed",
    )


def test_a_daemon_that_is_told_to_end_charges_nothing_and_the_next_one_goes_on_from_its_checkpoints(
    client: Client, start: StartDaemon, figure: Figure
) -> None:
    slots = 6
    rates = [0.1 * (i + 1) for i in range(slots)]
    handle = client.create_study(study("Counting", rates, fixed={"epochs": 400}))
    daemon = start(slots)
    wait_for(lambda: all(trial.metrics().get("loss") for trial in handle.trials()))
    daemon.send_signal(signal.SIGTERM)
    told_at = time.monotonic()
    assert daemon.wait(30) == 0
    seconds = time.monotonic() - told_at
    for trial in handle.trials():
        record = trial.refresh()
        assert (record.state, record.failures, record.rescues, record.preemptions) == (
            TrialState.WAITING,
            0,
            0,
            1,
        )
        (run,) = trial.runs()
        assert run.state is RunState.RELEASED
    reached = {trial.refresh().number: trial.metrics()["loss"].steps[-1] for trial in handle.trials()}
    start(slots)
    wait_for(lambda: all(len(trial.runs()) == 2 and beyond(trial, reached) for trial in handle.trials()))
    for trial in handle.trials():
        steps = trial.metrics()["loss"].steps
        assert list(steps) == sorted(set(steps)), "it went on from its last step"
    handle.cancel()
    figure(
        "T12 drain, training",
        f"SIGTERM to a worker that trains {slots} trials",
        notes=f"{seconds:.1f} s, 0 failures charged, resumed at the last step",
    )


def beyond(trial: Any, reached: dict[int, int]) -> bool:
    return bool(trial.metrics()["loss"].steps[-1] > reached[trial.refresh().number])
