"""One thing that may be wrong with a run, and the changes that would prove it."""

from collections.abc import Callable
from dataclasses import dataclass

from hpsearch.recipe.case import Case
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

WHOLE_EPOCHS = 8
QUARTER = 0.25  # of the run's length that most probes train for


@dataclass(frozen=True)
class Suspicion:
    """`tries`: changes, each enough to prove it, the likeliest first. `share`: of the run's length that one
    try trains for, or, where it `continues` the run, goes on for.
    """

    code: VerdictCode
    why: str
    tries: tuple[Params, ...]
    share: float = QUARTER
    continues: bool = False
    halves: bool = False  # proved by what a run of half the length loses
    strong: bool = False  # by numbers that no healthy run has
    certain: bool = False  # a bug even where no probe gains by mending it
    stretches: bool = False  # its schedule is over when the probe is
    advice: str = ""  # the remedy in words, where the verdict's own says it less well
    follows: bool = False  # goes on with a change that an earlier probe was too short for

    @property
    def refines(self) -> bool:
        """Whether neighbours of the change that helped are worth a look."""
        return not self.follows and all(list(change) == ["learning_rate"] for change in self.tries)


def probe_length(case: Case, share: float) -> float:
    """Epochs. A long run is held against its probes at whole ones."""
    length = share * case.epochs
    return length if case.epochs < WHOLE_EPOCHS else max(1.0, float(round(length)))


Raise = Callable[[Case], Suspicion | None]
