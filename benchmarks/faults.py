"""Runs the fault tests at their release sizes and writes what they showed to `benchmarks/faults.md`.

`python benchmarks/faults.py [--each-change] [PYTEST ARGUMENT ...]`; `make faults` runs it, then sabotage and the duel. With
`--each-change` the sizes are those of `make test`. Further arguments select tests, as `-k T3` would.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "benchmarks" / "faults.md"


def run(sizes: str, arguments: list[str], figures: Path) -> int:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/faults",
        "-q",
        "--figures",
        str(figures),
        "--timeout",
        "7200",
    ]
    environment = {**os.environ, "HPSEARCH_FAULTS": sizes, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, *arguments], cwd=ROOT, env=environment, check=False).returncode


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        model = next(
            (line.partition(":")[2].strip() for line in file if line.startswith("model name")),
            platform.machine(),
        )
    return f"{os.cpu_count()} cores of {model}"


def table(figures: Path, sizes: str, seconds: float) -> str:
    rows: dict[str, list[dict[str, object]]] = defaultdict(list)
    for line in figures.read_text().splitlines():
        row = json.loads(line)
        rows[row["test"]].append(row)
    today = datetime.datetime.now(datetime.UTC).date()
    head = [
        "# What the fault tests showed",
        "",
        f"{today}, {machine()}, sizes: {sizes}, {seconds / 60:.0f} minutes; written by `python benchmarks/faults.py`.",
        "",
        "| test | what was done | violations |",
        "|---|---|---|",
    ]
    body = [
        f"| {name} | {row['size']} | **{row['violations']}** |" for name, some in rows.items() for row in some
    ]
    return "\n".join([*head, *body]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each-change", action="store_true")
    chosen, arguments = parser.parse_known_args()
    sizes = "each change" if chosen.each_change else "release"
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        figures.touch()
        began = time.monotonic()
        code = run(sizes, arguments, figures)
        TABLE.write_text(table(figures, sizes, time.monotonic() - began))
    sys.stdout.write(TABLE.read_text())
    sys.exit(code)


if __name__ == "__main__":
    main()
