"""T15: a server under steady work for as long as one likes; does it grow?

`python -m benchmarks.soak [--minutes N] [--workers N] [--database sqlite|postgres]`: workers train one study of small trials after
another, a reader looks at lists, curves and the summary, and the server's resident memory and open files are sampled.
The slope of the memory is that of a straight line through the means of each half minute of the second half of the
time, with its 95 % bounds (Student's t, the means taken as independent): before, SQLite fills the page caches of its
connections, 2 MB each. Exit code 1 where open files still grow, or where even the lower bound is above 1 MB an hour.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from scipy import stats

from benchmarks.fault_rows import FaultRow
from hpsearch.client import Client
from hpsearch.records import FINISHED_STUDY_STATES
from tests.faults.chaos import Fleet, Script, grid_of
from tests.faults.postgres_process import PostgresProcess

MB = 1e6
TRIALS = 500  # of each study
SAMPLE_SECONDS = 2.0
MEAN_SECONDS = 30.0
WARM_UP = 0.5  # of the time
MOST_MB_PER_HOUR = 1.0
FEW_MORE = 5  # open files: how many a pool or a request under way may explain


@dataclass(frozen=True)
class Sample:
    hours: float
    megabytes: float
    files: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """Of what was sampled after the warm-up. `low`, `high`: 95 % bounds of the slope, MB an hour."""

    slope: float
    low: float
    high: float
    files_before: int  # the most in the first half
    files_after: int  # the most in the second


def growth(samples: list[Sample]) -> Growth:
    kept = [sample for sample in samples if sample.hours >= WARM_UP * samples[-1].hours]
    bins: dict[int, list[Sample]] = {}
    for sample in kept:
        bins.setdefault(int(sample.hours * 3_600 / MEAN_SECONDS), []).append(sample)
    hours = [np.mean([sample.hours for sample in some]) for some in bins.values()]
    memory = [np.mean([sample.megabytes for sample in some]) for some in bins.values()]
    line = stats.linregress(hours, memory)
    margin = float(stats.t.ppf(0.975, len(hours) - 2)) * line.stderr
    half = len(kept) // 2
    return Growth(
        slope=line.slope,
        low=line.slope - margin,
        high=line.slope + margin,
        files_before=max(sample.files for sample in kept[:half]),
        files_after=max(sample.files for sample in kept[half:]),
    )


class Soak:
    """A fleet that is never hurt. `trials` counts those of the studies that have ended."""

    def __init__(self, folder: Path, workers: int, database: PostgresProcess | None) -> None:
        script = Script(trials=TRIALS, workers=workers, lease_seconds=30, trial_seconds=0.25)
        self._fleet = Fleet(folder, script, database)
        self._studies = 0
        self.trials = 0

    def __enter__(self) -> "Soak":
        self._fleet.start()
        self._next_study()
        return self

    def __exit__(self, *_: object) -> None:
        self._fleet.stop()

    def samples(self, minutes: float) -> Iterator[Sample]:
        server = psutil.Process(self._fleet.servers[0].pid)
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < 60 * minutes:
            with server.oneshot():
                memory, files, threads = server.memory_info().rss, server.num_fds(), server.num_threads()
            yield Sample(seconds / 3_600, memory / MB, files, threads)
            self._look(self._fleet.client)
            time.sleep(SAMPLE_SECONDS)

    def _look(self, client: Client) -> None:
        """What the pages of a study ask for."""
        study = client.study(self._name)
        record = study.record()
        first = next(iter(study.trials()))
        first.metrics()
        study.best(10)
        if record.state in FINISHED_STUDY_STATES:
            self.trials += TRIALS
            self._next_study()

    @property
    def _name(self) -> str:
        return f"soak-{self._studies}"

    def _next_study(self) -> None:
        self._studies += 1
        self._fleet.client.create_study(grid_of(TRIALS, self._name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--figures", type=Path, help="append the row of benchmarks/faults.md there")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = PostgresProcess(folder / "pg") if chosen.database == "postgres" else None
        with Soak(folder / "fleet", chosen.workers, database) as soak:
            samples = []
            for sample in soak.samples(chosen.minutes):
                samples.append(sample)
                if len(samples) % 150 == 1:
                    print(
                        f"{60 * sample.hours:4.0f} min  {sample.megabytes:.1f} MB  {sample.files} files",
                        flush=True,
                    )
        if database is not None:
            database.stop()
    grown = growth(samples)
    notes = (
        f"{grown.slope:+.2f} MB an hour (95 %: {grown.low:+.2f} to {grown.high:+.2f}) at {samples[-1].megabytes:.0f} MB; "
        f"open files {grown.files_before} at most in the first half, {grown.files_after} in the second"
    )
    done = (
        f"{chosen.minutes:.0f} minutes, {chosen.workers} workers, {soak.trials:,} trials, {chosen.database}"
    )
    print(f"{done}: {notes}")
    if chosen.figures is not None:
        FaultRow("T15 soak", done, notes=notes, seconds=time.monotonic() - began).append_to(chosen.figures)
    flat = grown.files_after <= grown.files_before + FEW_MORE
    sys.exit(0 if flat and grown.low < MOST_MB_PER_HOUR else 1)


if __name__ == "__main__":
    main()
