"""Counts over results: detection, verdicts by family, false alarms with their bound, repairs, cost."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy.stats import beta

from benchmarks.judge.cases import Case
from benchmarks.judge.killing import Ending, Yardstick, counted_seeds
from benchmarks.judge.result import Result
from hpsearch.vocabulary import VerdictCode

NO_ALARM = frozenset({VerdictCode.OK, VerdictCode.NOT_ENOUGH_EVIDENCE})


@dataclass(frozen=True)
class Scored:
    """A result beside its case. `counts`: the fault hurts under this seed, or the case is a healthy one.
    `shortfall`: how many seed-SDs the run with the remedy is worse than its healthy twin, `round_shortfall` the
    best run of the remedy's round; None where nothing was to repair.
    """

    case: Case
    result: Result
    counts: bool
    shortfall: float | None = None
    round_shortfall: float | None = None

    @property
    def verdict(self) -> str:
        assert self.result.judgement is not None
        return self.result.judgement.verdict

    @property
    def repaired(self) -> bool | None:
        return None if self.shortfall is None else self.shortfall <= 1

    @property
    def right(self) -> bool:
        return is_right(self.verdict, self.case.accept)


def is_right(verdict: str, accept: frozenset[VerdictCode]) -> bool:
    return verdict in {str(code) for code in accept}


def is_alarm(verdict: str) -> bool:
    """A failed judgement is none."""
    return verdict not in {str(code) for code in NO_ALARM} and verdict not in ("error", "")


def scored(case: Case, results: Sequence[Result], twin: Yardstick | None) -> list[Scored]:
    """The judged results of one case. `twin`: the healthy runs of a fault's seeds, None for a healthy case."""
    if not results:
        return []
    if case.fault is None or twin is None:
        return [Scored(case, result, True) for result in results if result.judgement is not None]
    endings = {result.seed: result.ending for result in results}
    same_loss = not case.fault.changes_loss
    counted = counted_seeds(twin, endings, same_loss=same_loss)
    return [
        Scored(
            case,
            result,
            result.seed in counted,
            _shortfall(case, result, result.judgement.repaired, endings, twin),
            _shortfall(case, result, result.judgement.round, endings, twin),
        )
        for result in results
        if result.judgement is not None
    ]


def _shortfall(
    case: Case, result: Result, mended: Ending | None, endings: Mapping[int, Ending], twin: Yardstick
) -> float | None:
    """What hurt must be healed: the score, else the loss. Without a remedy the run stays as it is."""
    assert case.fault is not None
    if not case.fault.repairable:
        return None
    after = mended or result.ending
    return twin.shortfall(result.seed, after, by_score=twin.score_hurt(endings))


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    hits: int
    total: int

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> "Share":
        known = list(outcomes)
        return cls(sum(known), len(known))

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else float("nan")

    @property
    def upper(self) -> float:
        """The one-sided upper 95 % bound of Clopper and Pearson (1934)."""
        if self.hits >= self.total:
            return 1.0
        return float(beta.ppf(0.95, self.hits + 1, self.total - self.hits))


@dataclass(frozen=True)
class Accuracy:
    """One judge on the counted faults and on the healthy runs. `families`: verdict in the accept-set."""

    families: Mapping[str, Share]
    detected: Share
    easy_alarms: Share
    irreducible_alarms: Share

    @property
    def micro(self) -> Share:
        return Share(
            sum(share.hits for share in self.families.values()),
            sum(share.total for share in self.families.values()),
        )

    @property
    def macro(self) -> float:
        return (
            statistics.fmean(share.value for share in self.families.values())
            if self.families
            else float("nan")
        )


@dataclass
class Tally:
    """Outcomes as they come in."""

    families: dict[str, list[bool]] = field(default_factory=dict)
    detected: list[bool] = field(default_factory=list)
    alarms: dict[str, list[bool]] = field(default_factory=lambda: {"easy": [], "irreducible": []})

    def add(self, case: Case, *, right: bool, alarm: bool) -> None:
        if case.fault is None:
            self.alarms[case.kind].append(alarm)
            return
        self.families.setdefault(case.family, []).append(right)
        self.detected.append(alarm)

    def accuracy(self) -> Accuracy:
        return Accuracy(
            families={name: Share.of(outcomes) for name, outcomes in sorted(self.families.items())},
            detected=Share.of(self.detected),
            easy_alarms=Share.of(self.alarms["easy"]),
            irreducible_alarms=Share.of(self.alarms["irreducible"]),
        )


def repaired_cases(all_scored: Iterable[Scored], *, by_round: bool = False) -> Share:
    """Repairable cases whose mean shortfall over their counted seeds is at most one seed-SD: of the run with the
    proposed values, or of the best in their round.

    Of two equally good runs under one seed the one falls more than an SD short of the other in one of four.
    """
    by_case: dict[str, list[float]] = {}
    for one in all_scored:
        shortfall = one.round_shortfall if by_round else one.shortfall
        if one.counts and shortfall is not None:
            by_case.setdefault(one.case.name, []).append(shortfall)
    return Share.of(statistics.fmean(shortfalls) <= 1 for shortfalls in by_case.values())


def of_probes(all_scored: Iterable[Scored]) -> Accuracy:
    tally = Tally()
    for one in all_scored:
        if one.counts:
            tally.add(one.case, right=one.right, alarm=is_alarm(one.verdict))
    return tally.accuracy()


def of_passive(all_scored: Iterable[Scored]) -> Accuracy:
    """The same without probes, where that was asked."""
    tally = Tally()
    for one in all_scored:
        verdict = one.result.passive
        if one.counts and verdict:
            tally.add(one.case, right=is_right(verdict, one.case.accept), alarm=is_alarm(verdict))
    return tally.accuracy()


def of_anchor(all_scored: Iterable[Scored], name: str) -> Accuracy:
    """Any-hit scoring: right where any of the named symptoms is accepted."""
    tally = Tally()
    for one in all_scored:
        if one.counts:
            named = one.result.anchors[name]
            tally.add(one.case, right=bool(named & one.case.accept), alarm=bool(named))
    return tally.accuracy()
