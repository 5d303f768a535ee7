"""Score the judgement of runs on planted faults: `python -m benchmarks.judge [--seeds dev|rehearsal|score]`.

Trains every healthy twin and every faulty run, asks `hpsearch.judge.diagnose` and four systems' rules, and
prints who was right. A fault counts only where it measurably hurts.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.judge.cases import Case, Suite
from benchmarks.judge.killing import Yardstick
from benchmarks.judge.result import Result
from benchmarks.judge.scoring import Scored, scored
from benchmarks.judge.table import line, table
from benchmarks.judge.workers import SUITES, Job, work
from hpsearch.errors import unknown

PAIRED = 5  # seeds at least that say whether a fault hurts
QUICK = 3  # seeds of --quick, to judge under and to see what hurts


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    began = time.perf_counter()
    suite = SUITES[options.seeds]()
    families = sorted({case.family for case in suite.cases})
    if options.family not in (None, *families):
        sys.exit(f"Error: {unknown('family', options.family, families)}")
    cases = [case for case in suite.cases if _wanted(case, options)]
    if not cases:
        sys.exit(f"Error: no case's name contains {options.case!r}; --list shows them")
    if options.list:
        print("\n".join(f"{case.family:22} {case.name}" for case in cases))
        return
    seeds = suite.seeds[:QUICK] if options.quick else suite.seeds
    if options.only_seed is not None:
        seeds = (options.only_seed,)
    paired = QUICK if options.quick else PAIRED
    jobs = _jobs(suite, cases, seeds, paired, passive=options.passive)
    results = _finished(work(suite.name, jobs, options.jobs), len(jobs))
    found = _scored(cases, jobs[: len(results)], results)
    if options.verbose:
        print("\n".join(line(one) for one in found))
    print(f"suite {suite.name}, seeds {seeds[0]}-{seeds[-1]}")
    print("\n".join(table(found)))
    print(f"{time.perf_counter() - began:.0f} s with {options.jobs} processes")
    if options.json:
        _write(options.json, found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--seeds", choices=sorted(SUITES), default="dev", help="which suite, with its seeds")
    parser.add_argument("--family", help="only this family of faults, or easy, or irreducible")
    parser.add_argument("--case", help="only cases whose name contains this")
    parser.add_argument("--only-seed", type=int, help="only this seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} seeds")
    parser.add_argument("--passive", action="store_true", help="score the judgement without probes as well")
    parser.add_argument("--verbose", action="store_true", help="a line for each case and seed")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    return parser


def _wanted(case: Case, options: argparse.Namespace) -> bool:
    return (options.family is None or case.family == options.family) and (
        options.case is None or options.case in case.name
    )


def _jobs(
    suite: Suite, cases: Sequence[Case], seeds: Sequence[int], least: int, *, passive: bool
) -> list[Job]:
    """Healthy twins once for all their faults; faults under `least` seeds, to see if they hurt."""
    paired = tuple(dict.fromkeys((*seeds, *suite.seeds, *suite.more_seeds)))[: max(least, len(seeds))]
    twins = {case.twin.name: case.name for case in cases if case.fault is not None}
    jobs = [Job(name, seed, twin=True, judged=False) for name in twins.values() for seed in paired]
    for case in cases:
        for seed in paired:
            if seed in seeds:
                jobs.append(Job(case.name, seed, passive=passive))
            elif case.fault is not None:
                jobs.append(Job(case.name, seed, judged=False))
    return jobs


def _finished(results: Iterable[Result], total: int) -> list[Result]:
    """All results, with a count on stderr; after Ctrl-C those there are."""
    found: list[Result] = []
    try:
        for result in results:
            found.append(result)
            if sys.stderr.isatty() or len(found) % 100 == 0:
                print(f"\r{len(found)}/{total}", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print(f" stopped: the table is of {len(found)} runs of {total}", file=sys.stderr)
    return found


def _scored(cases: Sequence[Case], jobs: Sequence[Job], results: Sequence[Result]) -> list[Scored]:
    twins: dict[str, Yardstick] = {}
    by_case: dict[str, list[Result]] = {}
    named = {case.name: case for case in cases}
    endings: dict[str, dict[int, Result]] = {}
    for job, result in zip(jobs, results, strict=True):
        if job.twin:
            endings.setdefault(named[job.case].twin.name, {})[job.seed] = result
        else:
            by_case.setdefault(job.case, []).append(result)
    for name, by_seed in endings.items():
        twins[name] = Yardstick({seed: result.ending for seed, result in by_seed.items()})
    return [one for case in cases for one in scored(case, by_case[case.name], twins.get(case.twin.name))]


def _write(path: Path, found: Sequence[Scored]) -> None:
    rows = [
        {
            "family": one.case.family,
            "accept": sorted(one.case.accept),
            "counts": one.counts,
            "right": one.right,
            "shortfall": one.shortfall,
            **dataclasses.asdict(one.result),
        }
        for one in found
    ]
    path.write_text(json.dumps(rows, indent=1, default=sorted))


if __name__ == "__main__":
    main()
