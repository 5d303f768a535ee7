"""Keeps the best snapshot of a run."""

import math
from collections.abc import Collection, Mapping

from torch import nn

from hpsearch.errors import TrialError
from hpsearch.spec import Objective
from hpsearch.training.checkpoint import Snapshot, weights_of


class Selection:
    """The snapshot where the objective was best; among equal ones that of the lowest validation loss, and of
    equals the first.
    """

    def __init__(self, objective: Objective, reported: Collection[str]) -> None:
        """`reported`: the metrics each evaluation has. Raises TrialError where the objective is not one."""
        if objective.metric not in reported:
            raise TrialError(
                f"the objective {objective.metric} is not among what this task reports: {', '.join(reported)}",
                hint="name one of these as objective.metric",
            )
        self.objective = objective
        self.best: Snapshot | None = None

    def consider(self, step: int, record: Mapping[str, float], model: nn.Module) -> None:
        """Keep the model's weights if `record` beats the best. One with a non-finite objective never does."""
        if not math.isfinite(record[self.objective.metric]):
            return
        if self.best is None or self._rank(record) > self._rank(self.best.record):
            self.best = Snapshot(step, dict(record), weights_of(model))

    def _rank(self, record: Mapping[str, float]) -> tuple[float, float]:
        loss = record["val_loss"]
        return self.objective.sign * record[self.objective.metric], -loss if math.isfinite(
            loss
        ) else -math.inf
