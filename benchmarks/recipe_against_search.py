"""Optimizer steps until a search names a point as good as the best: the recipe beside four rivals.

Three real tables, one space (learning rate 1e-6 to 10, weight decay 0 or 1e-7 to 1e-1), one horizon, the same
bounds for all. A method *hits* when the point it names (`study best` of that moment) has, on fresh seeds, a
mean validation loss within one seed-SD of the best that any method named. Every step counts: step 1's check
(in steps that take as long), overfitting, pruned and diverged runs. Each method may spend what 40 whole runs
cost, a rival in at most 100 trials.

Run: python benchmarks/recipe_against_search.py [--seeds 10] [--epochs 15] [--tables digits cancer diabetes]
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
import torch
from searchers import Rival, grid_search, random_search, recipe, recipe_spec, tpe_hyperband, tpe_median
from small_tables import Bench, Cancer, Diabetes, Digits, Job, Table, Wine

from hpsearch.records import Budget, Program, TrialPlan
from hpsearch.space import Params

TABLES: Mapping[str, tuple[type[Table], int]] = {  # and the batch size
    "digits": (Digits, 64), "cancer": (Cancer, 32), "diabetes": (Diabetes, 32), "wine": (Wine, 16),
}  # fmt: skip
WHOLE_RUNS = 40
TRIALS = 100  # of one rival, pruned ones included
FRESH = range(100, 110)  # replicates that no search has seen
FRESH_SEED = 10_000
METHODS = ("recipe", "random", "grid", "TPE + median", "TPE + Hyperband")
Point = tuple[tuple[str, float], ...]


@dataclass
class Walk:
    """One search with one seed: each point it named, when, and in which stage; what its stages cost."""

    named: list[tuple[float, Point, str]] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    spent: float = 0.0
    lowest: float = math.inf

    def goes(self, spent: float, params: Params | None, stage: str) -> None:
        """It has spent so much now, and names this point."""
        self.cost[stage] = self.cost.get(stage, 0.0) + spent - self.spent
        self.spent = spent
        if params is not None and (not self.named or self.named[-1][1] != key(params)):
            self.named.append((spent, key(params), stage))


@dataclass(frozen=True)
class Hit:
    """Steps spent when a good point was first named, in which stage; and from when on none but good ones."""

    first: float
    stage: str
    settled: float


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, nargs="+", default=[15])
    parser.add_argument("--tables", nargs="+", default=["digits", "cancer", "diabetes"], choices=list(TABLES))
    options = parser.parse_args()
    for epochs in options.epochs:
        found = [compare(name, epochs, options.seeds) for name in options.tables]
        print(
            f"\nhorizon {epochs} epochs: the recipe saves {statistics.median(found):.0%} of random search's steps, median of {len(found)} tables"
        )


def compare(name: str, epochs: int, seeds: int) -> float:
    """Print one table's rows. The saving of the recipe's median over random search's."""
    kind, batch_size = TABLES[name]
    bench = Bench(kind(), batch_size)
    horizon = bench.together([Job(key({"learning_rate": 1e-3, "weight_decay": 0.0}), 0)], epochs)[0].steps
    limit, check = WHOLE_RUNS * horizon, check_in_steps(bench)
    walks = {"recipe": [walk_recipe(bench, epochs, seed, check, limit) for seed in range(seeds)]}
    walks |= walk_rivals(bench, epochs, range(seeds), limit)
    judge = Judge(bench, epochs)
    judge.prepare({point for found in walks.values() for one in found for _, point, _ in one.named})
    target, best, sd = judge.target(
        {one.named[-1][1] for found in walks.values() for one in found if one.named}
    )
    print(f"\n{name}, {epochs} epochs = {horizon} steps a run; a check is {check:.0f} steps")
    print(f"best {dict(best)}: {target - sd:.4f} ± {sd:.4f} (SD over {len(FRESH)} fresh seeds)")
    print(f"{'method':16} {'median':>8} {'quartiles':>15} {'hits':>6} {'settled':>8}  hit during")
    hits = {method: [judge.hit(one, target) for one in walks[method]] for method in METHODS}
    for method, found in hits.items():
        print_row(method, found)
    print_cost(walks["recipe"])
    return print_saving(hits["recipe"], hits["random"], limit)


def walk_recipe(bench: Bench, epochs: int, seed: int, check: float, limit: float) -> Walk:
    one = Walk()
    for spent, params, stage in recipe(
        bench, recipe_spec(bench.fixed, str(bench.task.metric), epochs, seed), check
    ):
        if spent > limit:
            break
        one.goes(spent, params, stage)
    return one


def walk_rivals(bench: Bench, epochs: int, seeds: Sequence[int], limit: float) -> dict[str, list[Walk]]:
    """All rivals side by side, so that their runs are trained together."""
    rivals: dict[tuple[str, int], Rival] = {}
    for seed in seeds:
        rivals |= {
            ("random", seed): random_search(seed), ("grid", seed): grid_search(seed),
            ("TPE + median", seed): tpe_median(seed, epochs), ("TPE + Hyperband", seed): tpe_hyperband(seed, epochs),
        }  # fmt: skip
    walks = {who: Walk() for who in rivals}
    under_way = set(rivals)
    for _ in range(TRIALS):
        asked = {who: rivals[who].ask() for who in rivals if who in under_way}
        jobs = {who: Job(key(point), who[1]) for who, point in asked.items() if point is not None}
        wholes = bench.together(list(jobs.values()), epochs)
        for (who, job), whole in zip(jobs.items(), wholes, strict=True):
            cost, loss = rivals[who].tell(whole, epochs)
            one = walks[who]
            better = loss < one.lowest and one.spent + cost <= limit
            one.lowest = min(loss, one.lowest)
            one.goes(one.spent + cost, dict(job.point) if better else None, who[0])
        under_way = {who for who in jobs if walks[who].spent < limit}
    return {method: [walks[method, seed] for seed in seeds] for method in METHODS[1:]}


def print_saving(recipe_hits: Sequence[Hit], random_hits: Sequence[Hit], limit: float) -> float:
    """One minus the ratio of the medians; where random search's lies beyond the limit, at least so much."""
    ours, theirs = (statistics.median(hit.first for hit in hits) for hits in (recipe_hits, random_hits))
    saving = 1 - min(ours, limit) / min(theirs, limit)
    bound = "at least " if theirs > limit else ""
    fell_short = ", though the recipe's median seed found no such point" if ours > limit else ""
    print(f"recipe against random search: {bound}{saving:.0%} of the steps saved{fell_short}", flush=True)
    return saving


def print_row(method: str, hits: Sequence[Hit]) -> None:
    steps = sorted(hit.first for hit in hits)
    low, high = (steps[round(q * (len(steps) - 1))] for q in (0.25, 0.75))
    settled = statistics.median(hit.settled for hit in hits)
    stages = [hit.stage for hit in hits if hit.stage]
    during = ", ".join(f"{stage} {stages.count(stage)}" for stage in dict.fromkeys(stages))
    print(
        f"{method:16} {statistics.median(steps):8.0f} {f'{low:.0f} - {high:.0f}':>15} {len(stages):3}/{len(hits)} "
        f"{settled:8.0f}  {during if method == 'recipe' else ''}"
    )


def print_cost(walks: Sequence[Walk]) -> None:
    """Where the recipe's steps go."""
    stages = dict.fromkeys(stage for one in walks for stage in one.cost)
    listed = (
        f"{stage} {statistics.median(one.cost.get(stage, 0.0) for one in walks):.0f}" for stage in stages
    )
    print(f"the recipe's steps by stage (medians): {', '.join(listed)}")


def key(params: Params) -> Point:
    return tuple(sorted((name, float(params[name])) for name in ("learning_rate", "weight_decay")))


class Judge:
    """Points on fresh seeds; each is trained once."""

    def __init__(self, bench: Bench, epochs: int) -> None:
        self._bench, self._epochs = bench, epochs

    def prepare(self, points: Iterable[Point]) -> None:
        """Train all of them in one loop."""
        self._bench.together(
            [Job(point, FRESH_SEED, r) for point in sorted(points) for r in FRESH], self._epochs
        )

    def losses(self, point: Point) -> list[float]:
        jobs = [Job(point, FRESH_SEED, replicate) for replicate in FRESH]
        return [whole.loss for whole in self._bench.together(jobs, self._epochs)]

    def target(self, points: set[Point]) -> tuple[float, Point, float]:
        """(lowest mean + its seeds' SD, the point of that mean, the SD)."""
        means = {point: statistics.fmean(self.losses(point)) for point in points}
        best = min(means, key=lambda point: means[point])
        sd = statistics.stdev(self.losses(best))
        return means[best] + sd, best, sd

    def hit(self, one: Walk, target: float) -> Hit:
        good = [statistics.fmean(self.losses(point)) <= target for _, point, _ in one.named]
        first = good.index(True) if True in good else None
        bad_until = max((i + 1 for i, is_good in enumerate(good) if not is_good), default=0)
        settled = one.named[bad_until][0] if bad_until < len(good) else math.inf
        if first is None:
            return Hit(math.inf, "", math.inf)
        return Hit(one.named[first][0], one.named[first][2], settled)


def check_in_steps(bench: Bench) -> float:
    """Step 1's time over a training step's, medians of five; evaluations are nobody's steps."""
    check = TrialPlan(program=Program(kind="check"), params={"learning_rate": 1e-3, "weight_decay": 0.0})
    train = TrialPlan(program=Program(kind="train"), params=check.params, budget=Budget(steps=200))
    seconds: dict[str, list[float]] = {"check": [], "train": []}
    for seed in range(5):
        for name, plan in (("check", check), ("train", train)):
            began = time.perf_counter()
            outcome = bench.alone(plan, FRESH_SEED + 1 + seed)
            seconds[name].append(time.perf_counter() - began)
    return statistics.median(seconds["check"]) / (statistics.median(seconds["train"]) / outcome.steps)


if __name__ == "__main__":
    main()
