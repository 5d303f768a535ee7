"""The printed table."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.judge.examine import ANCHORS
from benchmarks.judge.scoring import Accuracy, Scored, Share, of_anchor, of_passive, of_probes, repaired_cases


def table(all_scored: Sequence[Scored]) -> Iterable[str]:
    """The judges side by side, then each family, repairs and costs."""
    faults = [one for one in all_scored if one.case.fault is not None]
    counted = sum(one.counts for one in faults)
    names = {one.case.fault.name for one in faults if one.case.fault is not None and one.counts}
    yield (
        f"{counted} faulty runs that measurably hurt, of {len(faults)} planted: {len(names)} faults; "
        f"{len(all_scored) - len(faults)} healthy runs"
    )
    yield ""
    yield from _judges(all_scored)
    ours = of_probes(all_scored)
    yield ""
    yield from _families(ours)
    yield ""
    yield from _repairs(all_scored)
    yield from _costs(all_scored)


def _judges(all_scored: Sequence[Scored]) -> Iterable[str]:
    yield (
        f"{'':24} {'false alarm: easy':>22} {'irreducible':>22} {'detected':>9} {'verdict':>8} {'macro':>6} {'worst family':>34}"
    )
    for name in ANCHORS:
        yield _row(f"{name} rules", of_anchor(all_scored, name))
    passive = of_passive(all_scored)
    if passive.detected.total:
        yield _row("hpsearch, passive", passive)
    yield _row("hpsearch", of_probes(all_scored))


def _row(name: str, found: Accuracy) -> str:
    worst = min(found.families.items(), key=lambda item: item[1].value, default=("", Share(0, 0)))
    return (
        f"{name:24} {_alarms(found.easy_alarms):>22} {_alarms(found.irreducible_alarms):>22} "
        f"{found.detected.value:9.3f} {found.micro.value:8.3f} {found.macro:6.3f} "
        f"{worst[0]:>26} {worst[1].value:7.2f}"
    )


def _alarms(share: Share) -> str:
    return f"{share.hits}/{share.total} (95 %: <{share.upper:.3f})"


def _families(found: Accuracy) -> Iterable[str]:
    yield "verdict in the accept-set, by family, worst first"
    for name, share in sorted(found.families.items(), key=lambda item: (item[1].value, item[0])):
        yield f"  {name:24} {share.hits:4}/{share.total:<4} {share.value:.2f}"


def _repairs(all_scored: Sequence[Scored]) -> Iterable[str]:
    rounds, cases = repaired_cases(all_scored, by_round=True), repaired_cases(all_scored)
    runs = Share.of(one.repaired for one in all_scored if one.counts and one.repaired is not None)
    yield (
        f"one round of the remedy's values brings {rounds.hits}/{rounds.total} = {rounds.value:.3f} of repairable cases "
        "to within one seed-SD of their healthy twin on average"
    )
    yield (
        f"its first values alone {cases.hits}/{cases.total} = {cases.value:.3f} ({runs.hits}/{runs.total} = {runs.value:.3f} of single runs)"
    )


def _costs(all_scored: Sequence[Scored]) -> Iterable[str]:
    judged = [one.result.judgement for one in all_scored if one.result.judgement is not None]
    ratios = [one.probe_steps / one.run_steps for one in judged if one.run_steps]
    seconds = [one.seconds for one in judged]
    if ratios:
        yield (
            f"probe steps / run steps: median {statistics.median(ratios):.2f}, max {max(ratios):.2f}; "
            f"run, probes and verdict: median {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s"
        )
    errors = sum(one.verdict == "error" for one in judged)
    if errors:
        yield f"{errors} judgements failed"


def line(one: Scored) -> str:
    """One case under one seed."""
    judgement = one.result.judgement
    assert judgement is not None
    mark = "right" if one.right else "WRONG"
    if not one.counts:
        mark = "harmless"
    repaired = {None: "", True: " repaired", False: " not repaired"}[one.repaired]
    probe = f" {judgement.probe_steps:.0f}/{judgement.run_steps:.0f} steps" if judgement.run_steps else ""
    accept = "|".join(sorted(one.case.accept))
    return (
        f"{mark:8} {one.case.family:22} {one.case.name:52} seed {one.result.seed:3} {judgement.verdict:20} "
        f"({judgement.confidence:.2f}) wants {accept}{repaired}{probe} {judgement.error}"
    )
