"""The time left, by one rule: the trials that are open, handed out to the slots that take them.

What is open is known, and what such work has cost slots so far is measured: training by the epoch or step and not by
the trial, since those that diverge or are stopped early are short, and what a trial costs beside it (its process, its
data) by the trial, as the median, since the first one pays for the start. Each is taken to train in full: where some
diverge, it is over sooner. What a recipe's later stages will ask for is not known before they are planned, so of a
recipe the figure is that of what its stage has planned, and the words say so. Where something that a person would ask
about is missing, there is no figure but the reason.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from pydantic import Field

from hpsearch.records import Record

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
FEW_SECONDS = 8.0
PAUSED = "paused"
NO_WORKER = "no worker"
ELSEWHERE = "the workers are busy with other studies"
OVERDUE = "the last trials take longer than those before"


class Eta(Record):
    """How long it takes until the open trials have ended.

    `whole`: then the study has ended too; else it is what its stage has planned so far. Without `seconds` either
    nothing can be told yet, or nothing is open, or `reason` says what is in the way.
    """

    seconds: float | None = Field(default=None, ge=0)
    whole: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Work:
    """So many units (epochs, steps, or the trial itself) of a kind whose units cost alike."""

    kind: str
    units: float


@dataclass(frozen=True)
class Done:
    """`work` in so many `trials`, one after another, for which a slot took `took` seconds, `training` of them on their
    steps (None: nobody said)."""

    work: Work
    took: float
    trials: int = 1
    training: float | None = None


@dataclass(frozen=True)
class Busy:
    """A slot at work for `elapsed` seconds. `stays`: it takes more when it has done what it holds."""

    held: Sequence[Work]
    elapsed: float
    stays: bool


@dataclass(frozen=True)
class Outlook:
    """What is known of a study's open trials.

    `done`: the last that came to an end. `waiting`, with `unread` more that are like these. `idle`: slots
    that may take them and have nothing to do; `elsewhere`: those that train for other studies. `limit`: seconds until
    a budget lets no trial begin any more.
    """

    done: Sequence[Done] = ()
    busy: Sequence[Busy] = ()
    waiting: Sequence[Work] = ()
    unread: int = 0
    idle: int = 0
    elsewhere: int = 0
    limit: float | None = None
    paused: bool = False
    whole: bool = False


def estimate(outlook: Outlook) -> Eta:
    """The time left, or why it can't be told."""
    if not outlook.busy and not outlook.waiting:
        return Eta()
    if outlook.paused:
        return Eta(reason=PAUSED)
    takers = outlook.idle + sum(slot.stays for slot in outlook.busy)
    if outlook.waiting and not takers:
        return Eta(reason=ELSEWHERE if outlook.elsewhere else NO_WORKER)
    pace, beside = paces(outlook.done), overhead(outlook.done)
    if any(work.kind not in pace for work in [*outlook.waiting, *_held(outlook)]):
        return Eta()

    def cost(work: Work) -> float:
        return work.units * pace[work.kind] + beside

    training = [max(0.0, sum(map(cost, slot.held)) - slot.elapsed) for slot in outlook.busy]
    seconds = _handed_out(outlook, training, [cost(work) for work in outlook.waiting])
    if seconds == 0:
        return Eta(reason=OVERDUE)
    whole = outlook.whole
    if outlook.limit is not None and seconds > (most := max(outlook.limit, *training, 0.0)):
        seconds, whole = most, True
    return Eta(seconds=seconds, whole=whole)


def paces(done: Sequence[Done]) -> dict[str, float]:
    """Kind of work -> seconds of training per unit."""
    units: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for one in done:
        kind = one.work.kind
        units[kind] = units.get(kind, 0.0) + one.work.units
        seconds[kind] = seconds.get(kind, 0.0) + (one.took if one.training is None else one.training)
    return {kind: seconds[kind] / units[kind] for kind in units if units[kind] > 0}


def overhead(done: Sequence[Done]) -> float:
    """Seconds that a trial costs its slot beside training; nothing while the first one alone has told."""
    beside = [max(0.0, one.took - one.training) / one.trials for one in done if one.training is not None]
    return median_low(beside) if len(beside) > 1 else 0.0


def _held(outlook: Outlook) -> list[Work]:
    return [work for slot in outlook.busy for work in slot.held]


def _handed_out(outlook: Outlook, training: Sequence[float], waiting: Sequence[float]) -> float:
    """When the last trial ends, each taken by the slot that is free first."""
    free_at = [0.0] * outlook.idle
    free_at += [left for slot, left in zip(outlook.busy, training, strict=True) if slot.stays]
    heapq.heapify(free_at)
    for seconds in waiting:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    end = max([*free_at, *training])
    if outlook.unread:
        end += outlook.unread * sum(waiting) / len(waiting) / len(free_at)
    return end


# --- in words ------------------------------------------------------------------------------------


def words(eta: Eta) -> str:
    """`about 4 min left`, `about 4 min for what this stage has planned`, or the reason; empty where nothing can be told."""
    if eta.seconds is None:
        return f"time left unknown: {eta.reason}" if eta.reason else ""
    return f"{about(eta.seconds)} {'left' if eta.whole else 'for what this stage has planned'}"


# Below so many seconds, to the nearest of these, in this unit.
_ROUNDING = (
    (55.0, 10.0, 1.0, "s"),
    (9.5 * MINUTE, MINUTE, MINUTE, "min"),
    (57.5 * MINUTE, 5 * MINUTE, MINUTE, "min"),
    (9.75 * HOUR, HOUR / 2, HOUR, "h"),
    (1.5 * DAY, HOUR, HOUR, "h"),
    (math.inf, DAY, DAY, "days"),
)


def about(seconds: float) -> str:
    """A duration as roughly as it is known: `about 4 min`."""
    if seconds < FEW_SECONDS:
        return "a few seconds"
    step, unit, name = next(row[1:] for row in _ROUNDING if seconds < row[0])
    return f"about {max(1, round(seconds / step)) * step / unit:g} {name}"
