"""What one stage hands to the next: kept in the stage's row, so that the recipe needs no other memory."""

from collections.abc import Sequence

from hpsearch.records import Number, Record, Stage, StageState
from hpsearch.space import Params


class Carry(Record):
    """Everything later stages start from. Each stage copies it and changes what it found out.

    `settings`: hyperparameters other than learning rate and weight decay that the recipe has moved.
    `rungs`: names of step 2's rungs that were climbed.
    `grid`: points that a remedy wants refined next; empty: the grid around `survivors`.
    `spacing`: half-width of the next grid in decades of the learning rate.
    `verdicts`, `losses`, `errors`: of the rounds so far, oldest first: the winner's verdict, its validation
    loss and that loss's standard error.
    """

    settings: Params = {}
    rungs: tuple[str, ...] = ()
    learning_rate: float | None = None
    stability_limit: float | None = None
    survivors: tuple[Params, ...] = ()
    grid: tuple[Params, ...] = ()
    spacing: float = 0.25
    epochs: float | None = None
    winner: Params | None = None
    winner_epochs: float | None = None
    winner_on_edge: bool = False
    ties: tuple[Params, ...] = ()
    verdicts: tuple[str, ...] = ()
    losses: tuple[Number, ...] = ()
    errors: tuple[Number, ...] = ()
    note: str = ""


def latest_carry(stages: Sequence[Stage]) -> Carry:
    """The last ended stage's carry; empty at the start."""
    ended = [stage for stage in stages if stage.state is not StageState.RUNNING and stage.carried]
    return Carry.model_validate(ended[-1].carried) if ended else Carry()
