"""The suite over processes: a case is named, never sent, and each process trains on one thread."""

import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import torch

from benchmarks.judge.cases import Case, Suite
from benchmarks.judge.development import development
from benchmarks.judge.examine import examine
from benchmarks.judge.holdout import holdout
from benchmarks.judge.rehearsal import rehearsal
from benchmarks.judge.result import Result

SUITES: dict[str, Callable[[], Suite]] = {"dev": development, "rehearsal": rehearsal, "score": holdout}


@dataclass(frozen=True)
class Job:
    """One case, or its healthy twin, under one seed."""

    case: str
    seed: int
    twin: bool = False
    judged: bool = True
    passive: bool = False


def work(suite: str, jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """The results, in the jobs' order."""
    if processes <= 1:
        yield from map(_do, repeat(suite), jobs)
        return
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start)
    try:
        yield from pool.map(_do, repeat(suite), jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    # A diverging run overflows all over; the table says so.
    warnings.simplefilter("ignore", RuntimeWarning)


def _do(suite: str, job: Job) -> Result:
    case = SUITES[suite]().by_name[job.case]
    if job.twin:
        case = Case(case.twin, "easy")
    return examine(case, job.seed, judged=job.judged, passive=job.passive)
