"""What a test starts ends with it, whatever becomes of it."""

import subprocess
import sys

import psutil

STARTS_ONE = (
    "import time; from tests.faults.children import ForkServer; "
    "print(ForkServer([]).start(time.sleep, 600).pid, flush=True); time.sleep(600)"
)


def test_a_process_of_a_fork_server_dies_with_the_one_that_asked_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS_ONE], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        child = psutil.Process(int(asking.stdout.readline()))
        asking.kill()
    child.wait(10)
