"""How many short trials travel together, and what is known of their pace."""

import math
from collections.abc import Mapping

from hpsearch.records import Budget, Program

PACK_SECONDS = 2.0  # what a pack should take: long beside a lease's round trip, short beside a lease
WEIGHT = 0.5  # of the newest trial in the running pace: it follows within a few trials


def kind_of_work(program: Program, budget: Budget | None) -> tuple[str, float]:
    """(trials of this kind cost alike per unit of budget, how many units this one has)."""
    subset = "all" if program.subset_batches is None else str(program.subset_batches)
    if budget is None:
        return f"{program.kind}:{subset}", 1.0
    if budget.steps is not None:
        return f"{program.kind}:{subset}:steps", float(budget.steps)
    assert budget.epochs is not None
    return f"{program.kind}:{subset}:epochs", budget.epochs


def pace_after(
    pace: Mapping[str, float], program: Program, budget: Budget | None, seconds: float
) -> dict[str, float]:
    """The pace with one more finished trial; `seconds` is what it took."""
    kind, units = kind_of_work(program, budget)
    if not (math.isfinite(seconds) and seconds > 0):
        return dict(pace)
    new = seconds / units
    old = pace.get(kind, new)
    return {**pace, kind: WEIGHT * new + (1 - WEIGHT) * old}


def most_by_time(pace: Mapping[str, float], program: Program, budget: Budget | None) -> int:
    """How many trials like this one make about two seconds of work.

    One where the pace is not known yet: a pack of long trials would hold up what another slot could do.
    """
    kind, units = kind_of_work(program, budget)
    if kind not in pace:
        return 1
    return max(1, math.floor(PACK_SECONDS / (pace[kind] * units)))


def fair_share(*, waiting: int, slots: int) -> int:
    """How many of the waiting trials one slot may take so that no live slot idles."""
    return max(1, math.ceil(waiting / max(1, slots)))
