"""Notices that a training loss has left for good."""

import math
import statistics
from collections.abc import Iterable

MEMORY = 0.9  # of the moving average, recipe.md step 2
OVER_BEST = 4.0  # fastai's lr_find stops there
OVER_START = 3.0  # CS231n gives up there
EARLY, FIRST = 10, 3  # losses that tell how high the start was; the first of them, that set the size
EXPLODED = 10.0  # times the usual of the first: no luck of the draw


class DivergenceWatch:
    """Sees every minibatch loss in order."""

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._early: list[float] = []
        self._average = 0.0
        self._weight = 0.0
        self._best = math.inf
        for loss in losses:
            self.sees(loss)

    def sees(self, loss: float) -> bool:
        """Whether the run has diverged: the loss isn't finite, or its moving average (bias-corrected) is
        over 4 times its best and 3 times its start. Losses that reach 0 or below have no such ratio.
        """
        if not math.isfinite(loss):
            return True
        if len(self._early) < EARLY:
            self._early.append(loss)
        self._average = MEMORY * self._average + (1 - MEMORY) * loss
        self._weight = MEMORY * self._weight + (1 - MEMORY)
        smoothed = self._average / self._weight
        self._best = min(self._best, smoothed)
        if len(self._early) < FIRST or self._best <= 0:
            return False
        return smoothed > OVER_BEST * self._best and smoothed > OVER_START * self._start()

    def _start(self) -> float:
        """The highest of the early losses: the first minibatch alone may be a lucky one, of small batches or
        of targets with a long tail. What explodes at once does not count.
        """
        usual = max(self._early[0], statistics.median(self._early[:FIRST]))
        return min(max(self._early), EXPLODED * usual)
