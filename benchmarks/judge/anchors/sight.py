"""What an anchor's rules may look at."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from benchmarks.judge.run import Run
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode


@dataclass(frozen=True)
class Sight:
    """A run, its hyperparameters and its training inputs as the model saw them."""

    run: Run
    params: Params
    inputs: Tensor

    def rate(self) -> float:
        return float(self.params["learning_rate"])


Symptoms = frozenset[VerdictCode]
Anchor = Callable[[Sight], Symptoms]
