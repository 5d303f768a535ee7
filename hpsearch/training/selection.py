"""Keeps the best snapshots of a run."""

import math
from collections.abc import Collection, Iterable, Mapping

from torch import nn

from hpsearch.errors import TrialError
from hpsearch.spec import Objective
from hpsearch.training.checkpoint import Snapshot, weights_of


class Selection:
    """The `size` snapshots where the objective was best, best first; among equal ones those of the lowest
    validation loss, and of equals the first.
    """

    def __init__(self, objective: Objective, reported: Collection[str], size: int = 1) -> None:
        """`reported`: the metrics each evaluation has. Raises TrialError where the objective is not one."""
        if objective.metric not in reported:
            raise TrialError(
                f"the objective {objective.metric} is not among what this task reports: {', '.join(reported)}",
                hint="name one of these as objective.metric",
            )
        self.objective = objective
        self.kept: list[Snapshot] = []
        self._size = size

    @property
    def best(self) -> Snapshot | None:
        return self.kept[0] if self.kept else None

    def restore(self, kept: Iterable[Snapshot]) -> None:
        """Go on from what an earlier run kept, best first."""
        self.kept = list(kept)

    def consider(self, step: int, record: Mapping[str, float], model: nn.Module) -> None:
        """Keep the model's weights if `record` beats one of the kept ones. One with a non-finite objective never does."""
        if not math.isfinite(record[self.objective.metric]):
            return
        place = sum(self._rank(snapshot.record) >= self._rank(record) for snapshot in self.kept)
        if place < self._size:
            self.kept.insert(place, Snapshot(step, dict(record), weights_of(model)))
            del self.kept[self._size :]

    def _rank(self, record: Mapping[str, float]) -> tuple[float, float]:
        loss = record["val_loss"]
        return self.objective.sign * record[self.objective.metric], -loss if math.isfinite(
            loss
        ) else -math.inf
