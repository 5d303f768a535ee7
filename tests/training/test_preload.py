"""A forked child must not import what the fork server could have imported once."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, pathlib, sys
from hpsearch.records import Budget, Program
from hpsearch.spec import NamedTask
from hpsearch.training.preload import preload
from hpsearch.training.program import Place, run_program
from hpsearch.wire import Assignment
preload()
before = set(sys.modules)
folder = pathlib.Path(sys.argv[1])
assignment = Assignment(
    task=NamedTask(dataset="digits", model="mlp"), program=Program(kind="train"), budget=Budget(epochs=1)
)
outcome = run_program(assignment, Place("cpu", folder, folder, None), lambda series: None, lambda: False)
assert outcome.state == "completed", outcome.message
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_a_trial_imports_nothing_that_takes_time(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    late = json.loads(run.stdout)
    assert len(late) < 10, late
