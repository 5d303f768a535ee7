"""Grid search: every combination of the axes' points, each replicate a trial of its own."""

from collections.abc import Iterator

from hpsearch.records import TrialPlan
from hpsearch.samplers.plans import plans_of
from hpsearch.space import grid_points
from hpsearch.spec import StudySpec


def plan(spec: StudySpec) -> Iterator[TrialPlan]:
    """The grid in the order of a nested loop, the last axis fastest, replicates of a point side by side."""
    return plans_of(spec, grid_points(spec.space, spec.grid))
