"""What one case under one seed gave: plain values, so that workers can send and files can keep them."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.judge.killing import Ending
from hpsearch.vocabulary import VerdictCode


@dataclass(frozen=True)
class Judgement:
    """The answer of `diagnose`, as far as it is scored. `repaired`: the ending of a run with the remedy's
    changes, None without any; `round`: of the best run, by validation loss, over all of the remedy's values. `error`: why there is no answer.
    """

    verdict: str
    confidence: float
    text: str
    changes: Mapping[str, object]
    repaired: Ending | None
    run_steps: int
    probe_steps: int
    seconds: float
    error: str = ""
    round: Ending | None = None


@dataclass(frozen=True)
class Result:
    """`passive`: the same judgement without probes. `anchors`: what each one's rules name."""

    case: str
    seed: int
    ending: Ending
    judgement: Judgement | None
    passive: str
    anchors: Mapping[str, frozenset[VerdictCode]]
