"""What an anchor's rules may look at."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judge.run import Run
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode


@dataclass(frozen=True)
class Sight:
    """A run and its hyperparameters."""

    run: Run
    params: Params

    def rate(self) -> float:
        return float(self.params["learning_rate"])


Symptoms = frozenset[VerdictCode]
Anchor = Callable[[Sight], Symptoms]
