"""What is asked about studies and their trials, and the pages around them."""

from typing import Any

from pydantic import Field

from hpsearch.records import Best, Event, Record, Stage, Study, Trial
from hpsearch.space import Params


class StudyPage(Record):
    studies: tuple[Study, ...]
    total: int
    next_page_token: str | None = None


class TrialPage(Record):
    trials: tuple[Trial, ...]
    total: int
    next_page_token: str | None = None


class StageList(Record):
    stages: tuple[Stage, ...]


class BestList(Record):
    """At most n winners' rows; empty until a trial has a value."""

    best: tuple[Best, ...]


class EventList(Record):
    events: tuple[Event, ...]


class Preview(Record):
    """The exact points of a plain study (at most `shown` of `points`), and what the whole would cost.

    For a recipe, whose later points depend on results, `points` lists the axes' start values and `trials`
    and `epochs` are the most it can use.
    """

    method: str
    trials: int
    points: tuple[Params, ...]
    shown: int
    epochs: float
    steps: int | None
    text: str


class StudyPatch(Record):
    """What can change while a study runs."""

    description: str | None = Field(default=None, max_length=10_000)
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class Fork(Record):
    """A new study like another. `changes`: a JSON merge patch (RFC 7396) of its spec; null removes a key."""

    name: str = Field(max_length=100)
    changes: dict[str, Any] = {}


class Clone(Record):
    """A trial's point trained again on `replicates` other seeds, as a study of this name."""

    name: str | None = Field(default=None, max_length=100, description="default: STUDY-trial-NUMBER")
    replicates: int = Field(default=3, ge=1, le=100)


class Importances(Record):
    """How much of the objective's variation each parameter explains, largest first; they sum to 1.

    By Optuna's default evaluator over `trials` completed trials; empty where fewer than 4 or nothing varied.
    """

    metric: str
    trials: int
    importances: dict[str, float]
