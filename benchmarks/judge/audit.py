"""Are the healthy runs healthy? Each beside its neighbours: `python -m benchmarks.judge.audit [dev|rehearsal|score] [easy|irreducible]`.

A healthy run's single knobs, changed, must not make it clearly better; else naming the change is no false
alarm. Prints the mean score of each neighbour minus the healthy one's, in points, and its standard error.
"""

import statistics
import sys
import warnings
from collections.abc import Mapping

import torch

from benchmarks.judge.cases import Case
from benchmarks.judge.faults import Change, having, longer, times
from benchmarks.judge.run import train
from benchmarks.judge.workers import SUITES

NEIGHBOURS: Mapping[str, Change] = {
    "lr/3": times("learning_rate", 1 / 3),
    "lr x3": times("learning_rate", 3),
    "epochs x2": longer(2),
    "cosine": having(schedule="cosine"),
    "decay": having(weight_decay=0.01),
}
SEEDS = 5


def audited(case: Case, seeds: tuple[int, ...]) -> str:
    healthy = [train(case.task(), case.params, seed).score for seed in seeds]
    shown = [f"{case.name:36} {statistics.fmean(healthy):.3f}"]
    for name, change in NEIGHBOURS.items():
        gains = [
            100 * (train(case.task(), change(case.params), seed).score - before)
            for seed, before in zip(seeds, healthy, strict=True)
        ]
        error = statistics.stdev(gains) / len(gains) ** 0.5
        shown.append(f"{name} {statistics.fmean(gains):+.1f} ± {error:.1f}")
    return "  ".join(shown)


def main() -> None:
    suite = SUITES[sys.argv[1] if len(sys.argv) > 1 else "dev"]()
    kinds = sys.argv[2:] or ["easy", "irreducible"]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RuntimeWarning)
    for case in suite.cases:
        if case.kind in kinds:
            print(audited(case, (suite.seeds + suite.more_seeds)[:SEEDS]), flush=True)


if __name__ == "__main__":
    main()
