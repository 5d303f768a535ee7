"""What a trial does, before anybody trains it."""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hpsearch.records.record import Record, TrialId
from hpsearch.space import Params


class Budget(Record):
    """How long a trial trains: exactly one of optimizer steps or epochs (fractions allowed)."""

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a budget has either steps or epochs")
        return self

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.epochs:g} epochs"


class Program(Record):
    """What a trial does. `check` measures without training; `train` trains.

    `subset_batches`: train on that many fixed, class-stratified minibatches and evaluate on them (step 2).
    `overrides`: hyperparameters that win over the trial's params, e.g. regularization switched off.
    `stop_when_fit`: stop at 100 % accuracy on what is trained on (regression: loss <= 1 % of expected).
    `test`: evaluate the best snapshot on the test set at the end; only the stage `final` does.
    """

    kind: Literal["check", "train"]
    subset_batches: int | None = Field(default=None, ge=1)
    overrides: Params = {}
    stop_when_fit: bool = False
    test: bool = False


class TrialPlan(Record):
    """A trial that is wanted. `role` says what its stage wants it for, e.g. `rung 1`.

    `continues` names a completed trial whose last checkpoint this one may start from. It is a short cut,
    not part of the identity: the numbers are those of training from the start.
    """

    program: Program
    params: Params
    replicate: int = Field(default=0, ge=0)
    budget: Budget | None = None
    role: str = ""
    continues: TrialId | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of (program, params, replicate, budget): what makes a trial unique in its study."""
        budget = None if self.budget is None else self.budget.model_dump(mode="json")
        return plan_digest(self.program.model_dump(mode="json"), self.params, self.replicate, budget)


def plan_digest(program: Any, params: Params, replicate: int, budget: Any) -> str:
    """`TrialPlan.digest` of parts that are JSON already."""
    return digest_of({"program": program, "params": params, "replicate": replicate, "budget": budget})


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form: sorted keys, no spaces."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


# Built once: a large grid takes a hundred thousand digests.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
