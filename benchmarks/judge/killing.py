"""When does a planted fault count? Only where it measurably hurts beside its healthy twin.

DeepCrime's killing rule (Humbatova et al., ISSTA 2021) in our words: over paired seeds the faulty runs must be
worse than the healthy ones by more than the healthy runs' own spread explains.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SPREADS = 2.0  # seed-SDs of the healthy twin that the mean deterioration must exceed
POINT = 0.01  # and one point at least, of accuracy or of explained variance
LOSS_SHARE = 0.02  # or 2 % of the healthy run's first validation loss
DIVERGED_SHARE = 0.5


@dataclass(frozen=True)
class Ending:
    """How one run ended. `score`: larger is better, -inf where it diverged. `loss`: final validation loss;
    `first_loss`: that of its first evaluation.
    """

    score: float
    loss: float
    first_loss: float

    @property
    def diverged(self) -> bool:
        return self.score == -math.inf


@dataclass(frozen=True)
class Yardstick:
    """The healthy twin's endings by seed and how far seeds alone move them."""

    endings: Mapping[int, Ending]

    @property
    def score_sd(self) -> float:
        return statistics.stdev(ending.score for ending in self.endings.values())

    @property
    def loss_sd(self) -> float:
        return statistics.stdev(ending.loss for ending in self.endings.values())

    def _score_limit(self, spreads: float) -> float:
        return max(spreads * self.score_sd, POINT)

    def _loss_limit(self, spreads: float) -> float:
        first = statistics.fmean(ending.first_loss for ending in self.endings.values())
        return max(spreads * self.loss_sd, LOSS_SHARE * first)

    def score_hurt(self, faulty: Mapping[int, Ending]) -> bool:
        """Whether the score is worse on average, over the seeds that both have."""
        if _diverged_share(list(faulty.values())) >= DIVERGED_SHARE:
            return True
        gaps = [self.endings[seed].score - end.score for seed, end in faulty.items() if not end.diverged]
        return statistics.fmean(gaps) > self._score_limit(SPREADS)

    def loss_hurt(self, faulty: Mapping[int, Ending]) -> bool:
        """The same for the validation loss; only where both minimize the same loss."""
        gaps = [end.loss - self.endings[seed].loss for seed, end in faulty.items() if not end.diverged]
        return bool(gaps) and statistics.fmean(gaps) > self._loss_limit(SPREADS)

    def shortfall(self, seed: int, ending: Ending, *, by_score: bool) -> float:
        """How many seed-SDs this seed's run is worse than its healthy twin, in its score or else in its loss.

        An SD counts as half a point at least, or 1 % of the first loss; a diverged run falls infinitely short.
        """
        twin = self.endings[seed]
        if ending.diverged:
            return math.inf
        if by_score:
            return (twin.score - ending.score) / max(self.score_sd, POINT / 2)
        return (ending.loss - twin.loss) / max(self.loss_sd, LOSS_SHARE / 2 * twin.first_loss)


def _diverged_share(endings: Sequence[Ending]) -> float:
    return sum(ending.diverged for ending in endings) / len(endings)


def counted_seeds(twin: Yardstick, faulty: Mapping[int, Ending], *, same_loss: bool) -> frozenset[int]:
    """The seeds under which the fault counts: none where it doesn't hurt on the whole, else those whose own
    run is worse than its twin by more than one seed-SD.
    """
    by_score = twin.score_hurt(faulty)
    by_loss = same_loss and twin.loss_hurt(faulty)
    if not (by_score or by_loss):
        return frozenset()
    return frozenset(seed for seed, end in faulty.items() if twin.shortfall(seed, end, by_score=by_score) > 1)
