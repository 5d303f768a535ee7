"""Notices that a training loss has left for good."""

import math
from collections.abc import Iterable

MEMORY = 0.9  # of the moving average, recipe.md step 2
OVER_BEST = 4.0  # fastai's lr_find stops there
OVER_FIRST = 3.0  # CS231n gives up there


class DivergenceWatch:
    """Sees every minibatch loss in order."""

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._first: float | None = None
        self._average = 0.0
        self._weight = 0.0
        self._best = math.inf
        for loss in losses:
            self.sees(loss)

    def sees(self, loss: float) -> bool:
        """Whether the run has diverged: the loss isn't finite, or its moving average (bias-corrected) is
        over 4 times its best and 3 times the first loss. Losses that reach 0 or below have no such ratio.
        """
        if not math.isfinite(loss):
            return True
        if self._first is None:
            self._first = loss
        self._average = MEMORY * self._average + (1 - MEMORY) * loss
        self._weight = MEMORY * self._weight + (1 - MEMORY)
        smoothed = self._average / self._weight
        self._best = min(self._best, smoothed)
        if self._best <= 0 or self._first <= 0:
            return False
        return smoothed > OVER_BEST * self._best and smoothed > OVER_FIRST * self._first
