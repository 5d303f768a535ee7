"""Which probe of a run comes next, for what it may cost, and what those that have ended did."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hpsearch.recipe.case import Case, Probe
from hpsearch.recipe.effects import DECISIVE, Effect, effect
from hpsearch.recipe.proof import EARLY_LEAD, helps
from hpsearch.recipe.suspicion import Suspicion, probe_length
from hpsearch.vocabulary import VerdictCode

FAR_BEHIND = -0.1
AS_FAR, FOLLOWED = -0.03, 0.4  # a rate that got nearly as far in an eighth of the run; share to go on for
FREED = 0.7  # share for a run without its regularization, which shows its worth only at the end
NEAR = 0.7  # of the best gain of several rates
FASTER = 10**0.5  # neighbours of a proven learning rate


def next_probes(case: Case, suspects: Sequence[Suspicion]) -> tuple[Probe, ...]:
    """The tries of the first suspicion that has some open and can be paid; nothing once one is decisive."""
    for suspicion in suspects:
        probes = _bearable(case, suspicion)
        best = best_effect(case, suspicion)
        if suspicion.refines and best is not None and (best.decisive or helps(case, suspicion, best, None)):
            probes += _neighbours(case, suspicion, best)
        open_ = affordable(case, [probe for probe in probes if probe.key not in case.results])
        if open_:
            return open_
        if best is not None and best.decisive:
            return ()
    return ()


def followed(case: Case, suspects: Sequence[Suspicion]) -> list[Suspicion]:
    """What leads early, and has not got past the run's end in its short time, is followed for longer.

    A higher rate that gets in an eighth of the run as far as the run in all is at the same floor, or on its way
    past it: it goes behind the probe of size, which a floor calls for. A run without its regularization goes on
    at once.
    """
    found = list(suspects)
    for suspicion in suspects:
        best = best_effect(case, suspicion)
        if best is None or best.decisive or not _leads(suspicion, best):
            continue
        longer = _longer(case, suspicion, best)
        first = found.index(suspicion)
        size = next((i for i, s in enumerate(found) if s.code is VerdictCode.UNDERFIT), len(found) - 1)
        found.insert((max(size, first) if suspicion.refines else first) + 1, longer)
    return found


def _longer(case: Case, suspicion: Suspicion, best: Effect) -> Suspicion:
    """The same change for a longer part of the run; without regularization a whole run with its own schedule."""
    settled = case.values["schedule"] != "constant" or not case.still_falling
    whole = suspicion.code is VerdictCode.OVER_REGULARIZED and settled
    changes = dict(best.probe.changes)
    if whole and case.number("schedule_epochs") == 0:
        changes.pop("schedule_epochs", None)
    share = FREED if whole else FOLLOWED
    return replace(suspicion, tries=(changes,), share=share, follows=True, stretches=whole)


def _leads(suspicion: Suspicion, best: Effect) -> bool:
    if suspicion.code is VerdictCode.OVER_REGULARIZED:
        return best.helps_early() and best.early_gain > EARLY_LEAD
    if suspicion.code is not VerdictCode.LR_TOO_LOW or not suspicion.refines:
        return False
    return best.early_gain >= DECISIVE or (best.early_gain > EARLY_LEAD and best.gain > AS_FAR)


def _bearable(case: Case, suspicion: Suspicion) -> list[Probe]:
    """The tries. Of rates that rise one at a time, and none above one that diverged; of rates that fall for no
    strong reason none below one that is far behind.
    """
    probes = probes_of(case, suspicion)
    if not suspicion.refines:
        return probes
    if suspicion.code is VerdictCode.LR_TOO_HIGH and case.learned and not suspicion.strong:
        behind = any(found.early_gain < FAR_BEHIND for found in _effects(case, probes[:1]))
        return probes[:1] if behind or probes[0].key not in case.results else probes
    if suspicion.code is not VerdictCode.LR_TOO_LOW:
        return probes
    ended = [(probe, case.results[probe.key]) for probe in probes if probe.key in case.results]
    limit = min((_rate(p) for p, found in ended if found.diverged), default=math.inf)
    return [p for p in probes if p.key in case.results or _rate(p) < limit][: len(ended) + 1]


def probes_of(case: Case, suspicion: Suspicion) -> list[Probe]:
    length = probe_length(case, suspicion.share)
    if suspicion.continues:
        return [Probe(changes, case.epochs + length, continues=True) for changes in suspicion.tries]
    # A schedule stretches over the run it was made for, not over a shorter probe.
    whole = suspicion.halves or suspicion.stretches
    stretches = whole and case.number("schedule_epochs") == 0
    kept = (
        {}
        if case.values["schedule"] == "constant" or stretches
        else {"schedule_epochs": _schedule_epochs(case)}
    )
    return [Probe({**kept, **changes}, length) for changes in suspicion.tries]


def _schedule_epochs(case: Case) -> float:
    return case.number("schedule_epochs") or case.epochs


def _neighbours(case: Case, suspicion: Suspicion, best: Effect) -> list[Probe]:
    """Rates beside the best one, and a decade beyond where it is the farthest that was tried."""
    rate, tried = _rate(best.probe), [_rate(probe) for probe in probes_of(case, suspicion)]
    factors = [FASTER, 1 / FASTER]
    if suspicion.code is VerdictCode.LR_TOO_LOW and rate == max(tried):
        factors.insert(0, 10.0)
    elif suspicion.code is VerdictCode.LR_TOO_HIGH and rate == min(tried):
        factors.insert(0, 0.1)
    return [
        Probe({**best.probe.changes, "learning_rate": rate * factor}, best.probe.epochs) for factor in factors
    ]


def _rate(probe: Probe) -> float:
    return float(probe.changes["learning_rate"])


def affordable(case: Case, probes: Iterable[Probe]) -> tuple[Probe, ...]:
    left = case.allowance - case.spent
    chosen: list[Probe] = []
    for probe in probes:
        cost = case.cost(probe)
        if cost <= left + 1e-9:
            chosen.append(probe)
            left -= cost
    return tuple(chosen)


def effects_of(case: Case, suspicion: Suspicion) -> list[Effect]:
    """Of the tries that have ended, and of their neighbours."""
    effects = _effects(case, probes_of(case, suspicion))
    if suspicion.refines and effects:
        best = max(effects, key=lambda e: e.gain)
        effects += _effects(case, _neighbours(case, suspicion, best))
    return effects


def _effects(case: Case, probes: Iterable[Probe]) -> list[Effect]:
    found = [(probe, case.results.get(probe.key)) for probe in probes]
    return [effect(case, probe, result) for probe, result in found if result is not None and result.usable]


def best_effect(case: Case, suspicion: Suspicion) -> Effect | None:
    """The largest gain; of rates the lowest that gains nearly as much: a short probe flatters high ones."""
    effects = effects_of(case, suspicion)
    most = max((e.gain for e in effects), default=0.0)
    if suspicion.refines and most > 0:
        return min((e for e in effects if e.gain >= NEAR * most), key=lambda e: _rate(e.probe))
    return max(effects, key=lambda e: e.gain, default=None)
