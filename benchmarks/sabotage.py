"""T6: removes one guard at a time from a copy of the sources and runs the tests that must notice.

`python benchmarks/sabotage.py [--seeds N] [GUARD ...]` prints a line per guard: caught, or MISSED, and ends with exit code 1 if
any was missed. The tests are run on the untouched copy first, where all must pass.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.guards import GUARDS, Guard

ROOT = Path(__file__).parents[1]


def run_tests(copy: Path, tests: tuple[str, ...]) -> int:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "CI": "", "HPSEARCH_FAULTS": ""}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests did not run: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.returncode


def sabotaged(guard: Guard, seed: int) -> bool:
    """Whether the tests notice that the guard is gone."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder), seed)
        path = copy / guard.file
        source = path.read_text()
        if source.count(guard.old) != 1:
            raise SystemExit(f"{guard.name}: the guard is not where it was, in {guard.file}")
        path.write_text(source.replace(guard.old, guard.new))
        return run_tests(copy, guard.tests) == 1


def copied(folder: Path, seed: int) -> Path:
    """The sources, with the simulator's seeds moved on by `seed`."""
    for name in ("hpsearch", "api", "tests", "benchmarks", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    simulator = folder / "tests/faults/simulator.py"
    text = simulator.read_text()
    simulator.write_text(
        text.replace("random.Random(self.seed)", f"random.Random(self.seed + {1_000 * seed})")
    )
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("guards", nargs="*", help="only those whose name contains one of these")
    chosen = parser.parse_args()
    guards = [g for g in GUARDS if not chosen.guards or any(word in g.name for word in chosen.guards)]
    with tempfile.TemporaryDirectory() as folder:
        every = tuple(dict.fromkeys(test for guard in guards for test in guard.tests))
        if run_tests(copied(Path(folder), 0), every) != 0:
            raise SystemExit("the tests fail before anything was removed")
    missed = 0
    for guard in guards:
        for seed in range(chosen.seeds):
            began = time.monotonic()
            caught = sabotaged(guard, seed)
            missed += not caught
            print(
                f"{'caught' if caught else 'MISSED'}  {guard.name} ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    print(f"{chosen.seeds * len(guards) - missed} of {chosen.seeds * len(guards)} caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
