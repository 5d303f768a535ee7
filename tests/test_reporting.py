"""The helper of scripts that run as commands."""

import json
import os
import subprocess
import sys

import pytest

from hpsearch.reporting import StopSignal, report
from tests.test_import_weight import HEAVY, loaded_by


def test_outside_of_a_trial_a_report_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report(3, val_loss=0.5)
    report(val_loss=float("nan"))
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"step": 3, "val_loss": 0.5}
    assert second == '{"val_loss": NaN}'
    assert not StopSignal()()


def test_a_report_needs_a_metric() -> None:
    with pytest.raises(ValueError, match="at least one metric"):
        report(1)


def test_it_loads_nothing_heavy() -> None:
    assert not loaded_by("import hpsearch; hpsearch.report(1, loss=1); hpsearch.should_stop()") & {
        *HEAVY,
        "pydantic",
    }


def test_sigterm_is_kept_for_scripts_that_ask_and_ends_those_that_do_not() -> None:
    told = "import os, signal, hpsearch\nhpsearch.should_stop()\nos.kill(os.getpid(), 15)\nprint(hpsearch.should_stop())"
    deaf = "import os, hpsearch\nhpsearch.report(1, loss=1)\nos.kill(os.getpid(), 15)"
    environment = {**os.environ, "HPSEARCH_STOP": "/nonexistent"}
    heard = subprocess.run(
        [sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True
    )
    assert heard.stdout == "True\n"
    ended = subprocess.run([sys.executable, "-c", deaf], env=environment, capture_output=True, check=False)
    assert ended.returncode == -15
