"""`hpsearch run` end to end, in processes of its own: finished, killed, interrupted, refused."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpsearch.client import Client
from hpsearch.errors import NotFound
from hpsearch.home import Home
from tests.e2e.program import HPSEARCH

pytestmark = pytest.mark.e2e

GRID = """\
name: little-grid
task: {dataset: digits, model: mlp}
method: grid
space:
  learning_rate: {low: 1e-3, high: 1e-1, log: true}
  weight_decay: [0, 1e-4]
grid: {learning_rate: 3}
fixed: {epochs: 3, momentum: 0.9}
"""
LONG = GRID.replace("little-grid", "long-grid").replace("epochs: 3", "epochs: 500")
BROKEN = """\
name: broken
task: {dataset: digits, model: mlp}
space: {learning_rate: {low: 1e-4, high: 1, log: true}, weight_decay: [0, 1e-4]}
fixed: {initialization: normal, initialization_std: 1.0}
"""
DEADLINE_SECONDS = 120.0


def study(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(text)
    return folder


def start(home: Path, *arguments: object) -> "subprocess.Popen[str]":
    command = [HPSEARCH, "run", *map(str, arguments), "--home", str(home)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


def run(home: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    process = start(home, *arguments)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert "Traceback" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.05)


def rows(home: Path, name: str) -> list[dict[str, Any]]:
    """The study's trials, asked of the server that runs on the home or of one for the time of the command."""
    command = ["study", "export", name, "--format", "jsonl", "--home", str(home)]
    found = subprocess.run([HPSEARCH, *command], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


def states(home: Path, name: str) -> set[str]:
    """The trials' states, asked of the server that runs there: a command for each look would cost what the run needs."""
    address = Home(home).read_address()
    assert address is not None
    with Client(address.url, Home(home).read_token()) as client:
        try:
            return {str(trial.state) for trial in client.study(name).trials()}
        except NotFound:
            return set()  # not sent yet


def companions(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_killed_run_goes_on_and_a_finished_one_says_so(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", study(tmp_path / "grid", GRID.replace("epochs: 3", "epochs: 20"))
    process = start(home, folder, "--workers", 2)
    until(lambda: Home(home).read_address() is not None, "a server")
    until(lambda: "completed" in states(home, "little-grid"), "a result")
    crew = companions(process)
    process.kill()
    process.communicate()
    assert psutil.wait_procs(crew, timeout=10)[1] == []  # all die with it

    before = {row["number"]: row for row in rows(home, "little-grid") if row["state"] == "completed"}
    assert before

    finished = run(home, folder, "--workers", 2, "--json")
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert set(document) == {"study", "stages", "best", "trials", "report"}
    assert document["trials"] == 6
    assert [stage["kind"] for stage in document["stages"]] == ["search"]
    assert document["best"]["value"] > 0.9
    assert Path(document["report"]).read_text().startswith("<!doctype html>")
    after = {row["number"]: row for row in rows(home, "little-grid")}
    assert {row["state"] for row in after.values()} == {"completed"}
    for number, row in before.items():  # nothing that was done is done again
        assert after[number] == row

    started = time.monotonic()
    again = run(home, folder)
    assert again.returncode == 0
    assert "little-grid has completed already" in again.stderr
    assert "best of little-grid: val_accuracy" in again.stdout
    assert not (home / "logs" / "worker-0.log").stat().st_mtime > time.time() - (time.monotonic() - started)

    other = run(study(tmp_path / "grid", GRID.replace("epochs: 3", "epochs: 4")).joinpath("study.yaml"), home)
    assert other.returncode == 2  # two positional arguments: a usage error, not a new study
    changed = run(home, tmp_path / "grid")
    assert changed.returncode == 4
    assert "fixed.epochs" in changed.stderr
    assert "--name" in changed.stderr


def test_interrupted_run_hands_its_trials_back(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", study(tmp_path / "grid", LONG)
    process = start(home, folder)
    until(lambda: Home(home).read_address() is not None, "a server")
    until(lambda: "running" in states(home, "long-grid"), "a running trial")
    crew = companions(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run it again to continue" in err
    assert psutil.wait_procs(crew, timeout=10)[1] == []
    assert {row["state"] for row in rows(home, "long-grid")} == {"waiting"}


def test_failed_gate_exits_6_with_verdict_and_remedy(tmp_path: Path) -> None:
    failed = run(tmp_path / "home", study(tmp_path / "broken", BROKEN))
    assert failed.returncode == 6
    assert "✗ 1 initial loss" in failed.stderr
    assert "multiply the last layer" in failed.stderr
    document = json.loads(run(tmp_path / "home", tmp_path / "broken", "--json").stdout)
    assert document["study"]["state"] == "failed"
    assert document["stages"][0]["verdict"] == "bad_init"
    assert document["best"] is None
