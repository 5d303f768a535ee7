"""Plain methods by name: all their points are known before the first trial."""

from collections.abc import Callable, Iterator, Mapping

from hpsearch.records import TrialPlan
from hpsearch.samplers import grid, random
from hpsearch.spec import StudySpec

PLAIN: Mapping[str, Callable[[StudySpec], Iterator[TrialPlan]]] = {"grid": grid.plan, "random": random.plan}
