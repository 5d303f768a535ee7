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


NO_CUDA = """
import torch
def touched(*_):
    raise SystemExit("CUDA was touched before the fork")
for name in ("_cuda_getDeviceCount", "_cuda_init", "_cuda_getDevice"):
    setattr(torch._C, name, touched)
import hpsearch.worker.child
from hpsearch.training.preload import preload
preload()
assert not torch.cuda.is_initialized()
"""


def test_the_fork_server_touches_no_gpu() -> None:
    """A child could not start CUDA after a parent that has; each sets its device before its own first call."""
    run = subprocess.run([sys.executable, "-c", NO_CUDA], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_trial_imports_nothing_that_takes_time(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    late = json.loads(run.stdout)
    assert len(late) < 10, late
