"""Optimizer steps until a search names a point as good as the best: the recipe beside four rivals.

Three real tables, one space (learning rate 1e-6 to 10, weight decay 0 or 1e-7 to 1e-1), one horizon, the same
bounds for all. A method *hits* when the point it names (`study best` of that moment) has, on fresh seeds, a mean validation loss
within one seed-SD of the best that any method named. Every step counts: step 1's check (in steps that take as
long), overfitting, pruned and diverged runs. Each method may spend what 40 whole runs cost.

Run: python benchmarks/recipe_against_search.py [--seeds 10] [--epochs 15 50] [--tables digits cancer diabetes]
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import optuna
from searchers import (
    Step,
    grid_search,
    loss_of,
    random_search,
    recipe,
    recipe_spec,
    tpe_hyperband,
    tpe_median,
)
from small_tables import Bench, Cancer, Diabetes, Digits, Table, Wine, full_run

from hpsearch.records import Budget, Program, TrialPlan
from hpsearch.space import Params

TABLES: Mapping[str, tuple[type[Table], int]] = {  # and the batch size
    "digits": (Digits, 64), "cancer": (Cancer, 32), "diabetes": (Diabetes, 32), "wine": (Wine, 16),
}  # fmt: skip
FIXED = {"optimizer": "sgd", "momentum": 0.9, "preprocessing": "standardized", "monitors": False}
WHOLE_RUNS = 40
FRESH = range(100, 105)  # replicates that no search has seen
FRESH_SEED = 10_000
Point = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Walk:
    """One search with one seed: each point it named, when, and during which of its stages."""

    named: tuple[tuple[float, Point, str], ...]
    spent: float


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, nargs="+", default=[15, 50])
    parser.add_argument("--tables", nargs="+", default=["digits", "cancer", "diabetes"], choices=list(TABLES))
    options = parser.parse_args()
    savings = {
        epochs: [compare(name, epochs, options.seeds) for name in options.tables] for epochs in options.epochs
    }
    for epochs, found in savings.items():
        print(
            f"\nhorizon {epochs} epochs: the recipe needs {statistics.median(found):.0%} less than random search (median of tables)"
        )


def compare(name: str, epochs: int, seeds: int) -> float:
    """Print one table's rows. The saving of the recipe's median over random search's."""
    kind, batch_size = TABLES[name]
    bench = Bench(kind(), {**FIXED, "batch_size": batch_size})
    horizon = bench.run(full_run({"learning_rate": 1e-3, "weight_decay": 0.0}, epochs), 0)[0].steps
    check = check_in_steps(bench, epochs)
    limit = WHOLE_RUNS * horizon
    walks = {
        method: [walk(searched(method, bench, epochs, seed, check), limit) for seed in range(seeds)]
        for method in ("recipe", "random", "grid", "TPE + median", "TPE + Hyperband")
    }
    judge = Judge(bench, epochs)
    last = [one.named[-1][1] for found in walks.values() for one in found if one.named]
    target, best, sd = judge.target(set(last))
    print(f"\n{name}, {epochs} epochs = {horizon} steps a run; a check is {check:.0f} steps")
    print(f"best {dict(best)}: {target - sd:.4f} ± {sd:.4f} (SD over {len(FRESH)} fresh seeds)")
    print(f"{'method':16} {'median':>8} {'quartiles':>15} {'hits':>6}   hit during")
    medians: dict[str, float] = {}
    for method, found in walks.items():
        hits = [judge.hit(one, target) for one in found]
        steps = sorted(at if at is not None else math.inf for at, _ in hits)
        medians[method] = statistics.median(steps)
        low, high = steps[len(steps) // 4], steps[-1 - len(steps) // 4]
        where = sorted({stage for at, stage in hits if at is not None})
        counted = ", ".join(f"{stage} {sum(s == stage for _, s in hits)}" for stage in where)
        done = sum(math.isfinite(at) for at in steps)
        print(
            f"{method:16} {medians[method]:8.0f} {low:7.0f}-{high:<7.0f} {done:3}/{len(steps)}   {counted if method == 'recipe' else ''}"
        )
    print_stages(walks["recipe"])
    saving = 1 - medians["recipe"] / medians["random"]
    print(f"recipe against random: {saving:+.0%} compute saved")
    return saving


def searched(method: str, bench: Bench, epochs: int, seed: int, check: float) -> Iterator[Step]:
    match method:
        case "recipe":
            metric = str(bench.task.metric)
            return recipe(bench, recipe_spec(bench.fixed, metric, epochs, seed), check)
        case "random":
            return random_search(bench, epochs, seed)
        case "grid":
            return grid_search(bench, epochs, seed)
        case "TPE + median":
            return tpe_median(bench, epochs, seed)
        case _:
            return tpe_hyperband(bench, epochs, seed)


def walk(steps: Iterator[Step], limit: float) -> Walk:
    """Follow a search until it ends or has spent the limit; what it names is noted when it changes."""
    named: list[tuple[float, Point, str]] = []
    ends: list[tuple[float, str]] = []
    spent = 0.0
    for spent, params, stage in steps:
        if spent > limit:
            break
        ends.append((spent, stage))
        point = None if params is None else key(params)
        if point is not None and (not named or named[-1][1] != point):
            named.append((spent, point, stage))
    return Walk(tuple(named), spent)


def key(params: Params) -> Point:
    return tuple(sorted((name, float(params[name])) for name in ("learning_rate", "weight_decay")))


class Judge:
    """Points on fresh seeds; each is trained once."""

    def __init__(self, bench: Bench, epochs: int) -> None:
        self._bench, self._epochs = bench, epochs

    def losses(self, point: Point) -> list[float]:
        plans = [full_run(dict(point), self._epochs, replicate) for replicate in FRESH]
        return [loss_of(self._bench.run(plan, FRESH_SEED)[0]) for plan in plans]

    def target(self, points: set[Point]) -> tuple[float, Point, float]:
        """(lowest mean + its seeds' SD, the point of that mean, the SD)."""
        means = {point: statistics.fmean(self.losses(point)) for point in points}
        best = min(means, key=lambda point: means[point])
        sd = statistics.stdev(self.losses(best))
        return means[best] + sd, best, sd

    def hit(self, one: Walk, target: float) -> tuple[float | None, str]:
        """(steps spent, stage) when the first good point was named; None where none was."""
        for spent, point, stage in one.named:
            if statistics.fmean(self.losses(point)) <= target:
                return spent, stage
        return None, ""


def print_stages(walks: list[Walk]) -> None:
    """When the recipe's stages named their first point."""
    firsts: dict[str, list[float]] = {}
    for one in walks:
        for stage in dict.fromkeys(stage for _, _, stage in one.named):
            firsts.setdefault(stage, []).append(next(spent for spent, _, s in one.named if s == stage))
    listed = ", ".join(f"{stage} at {statistics.median(steps):.0f}" for stage, steps in firsts.items())
    print(f"the recipe first names a point in {listed} steps (medians)")


def check_in_steps(bench: Bench, epochs: int) -> float:
    """Step 1's time over a training step's, medians of five; evaluations are nobody's steps."""
    check = TrialPlan(program=Program(kind="check"), params={"learning_rate": 1e-3, "weight_decay": 0.0})
    train = TrialPlan(program=Program(kind="train"), params=check.params, budget=Budget(steps=200))
    seconds: dict[str, list[float]] = {"check": [], "train": []}
    for seed in range(5):
        for name, plan in (("check", check), ("train", train)):
            began = time.perf_counter()
            outcome, _ = bench.run(plan, FRESH_SEED + 1 + seed)
            seconds[name].append(time.perf_counter() - began)
    return statistics.median(seconds["check"]) / (statistics.median(seconds["train"]) / outcome.steps)


if __name__ == "__main__":
    main()
