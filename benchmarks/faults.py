"""Runs the fault tests at their release sizes, the duel and the soak, and writes `benchmarks/faults.md`.

`python -m benchmarks.faults [--only tests|duel|soak] [--minutes N] [PYTEST ARGUMENT ...]`. What a run has shown is kept in
`benchmarks/faults.jsonl`; a test that is run again replaces its own rows alone, and each row bears its date. With
`--each-change` the sizes are those of `make test`, and the table is printed, not kept. Further arguments select tests,
as `-k network` would.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import fault_rows
from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "benchmarks" / "faults.md"
KEPT = ROOT / "benchmarks" / "faults.jsonl"


def tests(arguments: list[str], figures: Path, *, release: bool) -> int:
    command = ["pytest", "tests/faults", "-q", "--figures", str(figures), "--timeout", "7200", *arguments]
    return module(command, HPSEARCH_FAULTS="release" if release else "each change")


def duel(figures: Path) -> int:
    databases = ("sqlite", "postgres")
    sizes = ["--trials", "120", "--kills", "12"]
    return max(
        module(["benchmarks.duel", *sizes, "--database", database, "--figures", str(figures)])
        for database in databases
    )


def soak(figures: Path, minutes: float) -> int:
    return module(["benchmarks.soak", "--minutes", str(minutes), "--figures", str(figures)])


def module(command: list[str], **environment: str) -> int:
    """Run `python -m` so; its exit code."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=variables, check=False).returncode


def page(rows: list[fault_rows.FaultRow]) -> str:
    head = [
        "# What the fault tests showed",
        "",
        f"The last run: {machine()}, shared with other work; SQLite and Postgres on one disk, durable commits. Written by `make faults`; "
        "a part that is run again replaces its own rows.",
        "",
    ]
    return "\n".join([*head, *fault_rows.table(rows)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each-change", action="store_true")
    parser.add_argument("--only", choices=["tests", "duel", "soak"])
    parser.add_argument("--minutes", type=float, default=10.0, help="of the soak")
    chosen, arguments = parser.parse_known_args()
    parts = [chosen.only] if chosen.only else ["tests", "duel", "soak"]
    code = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        if "tests" in parts:
            code = tests(arguments, figures, release=not chosen.each_change)
        if "duel" in parts:
            code = max(code, duel(figures))
        if "soak" in parts:
            code = max(code, soak(figures, chosen.minutes))
        shown = fault_rows.read(figures)
    rows = shown if chosen.each_change else fault_rows.merged(fault_rows.read(KEPT), shown)
    if not chosen.each_change:
        KEPT.write_text("")
        for row in rows:
            row.append_to(KEPT)
        TABLE.write_text(page(rows))
    sys.stdout.write(page(rows) + f"\n{(time.monotonic() - began) / 60:.0f} minutes\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
