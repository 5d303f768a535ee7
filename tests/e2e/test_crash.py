"""Killed with SIGKILL half-way, everything together, and started again."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.program import STUDIES, run, start

pytestmark = pytest.mark.e2e
KEPT = ("value", "metrics", "runs", "finished_at", "state", "params")


def kill_everything(process: "subprocess.Popen[str]") -> None:
    """SIGKILL to the command, its server, its daemon and every child, in no order that they could use."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def rows(home: Path) -> dict[int, dict[str, Any]]:
    answer = run(home, "study", "export", "digits-mlp", "--format", "jsonl")
    assert answer.code == 0, answer.err
    return {row["number"]: row for row in map(json.loads, answer.out.splitlines())}


def wait_for_stage(home: Path, text: str, process: "subprocess.Popen[str]") -> None:
    """Read the live output until a stage's card is printed."""
    assert process.stderr is not None
    deadline = time.monotonic() + 90
    for line in process.stderr:
        if text in line:
            return
        assert time.monotonic() < deadline
    raise AssertionError(f"{text!r} never appeared")


def test_a_killed_run_continues_and_keeps_what_was_completed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = start(home, "run", str(STUDIES / "digits_mlp"))
    wait_for_stage(home, "find the learning rate", process)
    kill_everything(process)

    before = {number: row for number, row in rows(home).items() if row["state"] == "completed"}
    assert len(before) >= 5

    again = run(home, "run", str(STUDIES / "digits_mlp"), "--json")
    assert again.code == 0, again.err
    assert again.document["study"]["state"] == "completed"
    after = rows(home)
    for number, row in before.items():
        assert {key: after[number][key] for key in KEPT} == {key: row[key] for key in KEPT}
    assert all(row["state"] in ("completed", "diverged") for row in after.values())
    assert len(
        {json.dumps([r["program"], r["params"], r["replicate"], r["budget"]]) for r in after.values()}
    ) == len(after)


def test_ctrl_c_stops_cleanly_and_the_same_command_continues(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = start(home, "run", str(STUDIES / "digits_grid"))
    deadline = time.monotonic() + 60
    while not (home / "server.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run it again to continue" in err
    assert "Traceback" not in err
    assert run(home, "run", str(STUDIES / "digits_grid")).code == 0
