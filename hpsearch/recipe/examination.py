"""Step 6 with probes: which counterfactual to run next, and what all of them say.

Pure: `examine` is asked again with each new result until it answers with a verdict. A run that learned all
there is and generalizes is ok without a probe; a bug of step 1 needs none either. Everything else is proved:
the verdict is the change that helps (recipe.md §3.0).
"""

from collections.abc import Iterable, Sequence

from hpsearch.recipe.case import Case, Probe
from hpsearch.recipe.effects import DECISIVE, Effect, effect
from hpsearch.recipe.findings import (
    bug,
    healthy,
    not_enough,
    overfitting,
    proven,
    still_ok,
    unproven,
)
from hpsearch.recipe.suspicions import Suspicion, regularizers, suspicions
from hpsearch.records import Verdict
from hpsearch.vocabulary import VerdictCode

LEAST_EVALUATIONS = 3
GAP, WIDE_GAP, VAL_RISE = 0.10, 0.20, 1.10
FASTER = 10**0.5  # neighbours of a proven learning rate


def examine(case: Case) -> tuple[Probe, ...] | Verdict:
    """The probes to run next, or the verdict."""
    found = bug(case) or not_enough(case, LEAST_EVALUATIONS)
    if found is not None:
        return found
    if overfits(case):
        return _overfit(case)
    if case.fitted:
        return healthy(case)
    suspects = list(suspicions(case))
    wanted = _next(case, suspects)
    return wanted or _conclude(case, suspects)


def overfits(case: Case) -> bool:
    """Validation lags far behind training. Its loss alone is no evidence: it rises in healthy runs too."""
    gap = case.end.train_metric - case.end.val_metric
    rise = case.feature("val_loss_rise")
    if case.accuracy:
        return (gap > GAP + case.noise and rise > VAL_RISE) or gap > WIDE_GAP + case.noise
    lost = (1 - case.end.val_skill) / max(1 - case.end.train_skill, 1e-9)
    return lost > 2 and rise > VAL_RISE


# --- which probe next ------------------------------------------------------------------------------


def _next(case: Case, suspects: Sequence[Suspicion]) -> tuple[Probe, ...]:
    """The tries of the first suspicion that has some open and can be paid; nothing once one is decisive."""
    for suspicion in suspects:
        probes = probes_of(case, suspicion)
        if suspicion.refines and (best := _best(case, suspicion)) is not None and best.decisive:
            probes += _neighbours(case, best)
        open_ = _affordable(case, [probe for probe in probes if probe.key not in case.results])
        if open_:
            return open_
        best = _best(case, suspicion)
        if best is not None and best.decisive:
            return ()
    return ()


def probes_of(case: Case, suspicion: Suspicion) -> list[Probe]:
    length = max(1.0, float(round(suspicion.share * case.epochs)))
    if case.epochs < 4:
        length = suspicion.share * case.epochs
    if suspicion.continues:
        return [Probe(changes, case.epochs + length, continues=True) for changes in suspicion.tries]
    # A schedule stretches over the run it was made for, not over a shorter probe.
    kept = {} if case.values["schedule"] == "constant" else {"schedule_epochs": _schedule_epochs(case)}
    return [Probe({**kept, **changes}, length) for changes in suspicion.tries]


def _schedule_epochs(case: Case) -> float:
    return case.number("schedule_epochs") or case.epochs


def _neighbours(case: Case, best: Effect) -> list[Probe]:
    rate = float(best.probe.changes["learning_rate"])
    return [
        Probe({**best.probe.changes, "learning_rate": rate * factor}, best.probe.epochs)
        for factor in (FASTER, 1 / FASTER)
    ]


def _affordable(case: Case, probes: Iterable[Probe]) -> tuple[Probe, ...]:
    left = case.allowance - case.spent
    chosen: list[Probe] = []
    for probe in probes:
        cost = case.cost(probe)
        if cost <= left + 1e-9:
            chosen.append(probe)
            left -= cost
    return tuple(chosen)


# --- what they say ---------------------------------------------------------------------------------


def effects_of(case: Case, suspicion: Suspicion) -> list[Effect]:
    """Of the tries that have ended, and of their neighbours."""
    found = [(probe, case.results.get(probe.key)) for probe in probes_of(case, suspicion)]
    effects = [effect(case, probe, result) for probe, result in found if result is not None and result.usable]
    if suspicion.refines and effects:
        best = max(effects, key=lambda e: e.gain)
        nearby = [(probe, case.results.get(probe.key)) for probe in _neighbours(case, best)]
        effects += [effect(case, probe, result) for probe, result in nearby if result is not None]
    return effects


def _best(case: Case, suspicion: Suspicion) -> Effect | None:
    return max(effects_of(case, suspicion), key=lambda e: e.gain, default=None)


def _conclude(case: Case, suspects: Sequence[Suspicion]) -> Verdict:
    """The most specific suspicion whose change does nearly as much as the best change of all."""
    tried = [(suspicion, best) for suspicion in suspects if (best := _best(case, suspicion)) is not None]
    helping = [(s, e) for s, e in tried if helps(case, s, e)]
    if not helping:
        return still_ok(case, tried) if tried or not suspects else unproven(case, suspects)
    most = max(strength(e) for _, e in helping)
    suspicion, best = next((s, e) for s, e in helping if strength(e) >= 0.6 * most)
    others = tuple(dict.fromkeys(s.code for s, _ in helping if s.code is not suspicion.code))
    return proven(case, suspicion, best, others)


def strength(found: Effect) -> float:
    return max(found.gain, 0.5 * found.early_gain)


def helps(case: Case, suspicion: Suspicion, found: Effect) -> bool:
    """Whether the probe proves the suspicion: better than the run ever got, or far ahead of it so early."""
    at_end = found.helps_training and found.helps_validation
    ahead = found.helps_early() and found.early_gain >= DECISIVE and found.gain > -0.03
    match suspicion.code:
        case VerdictCode.LR_TOO_LOW:
            # Faster is not better: it must reach in a fifth of the time what the run has reached in all.
            return at_end or (ahead and not case.learned)
        case VerdictCode.OVER_REGULARIZED:
            return at_end
        case _:
            return at_end or ahead


def _overfit(case: Case) -> tuple[Probe, ...] | Verdict:
    probes = [Probe(changes, max(1.0, round(case.epochs / 2))) for changes in regularizers(case)]
    open_ = _affordable(case, [probe for probe in probes if probe.key not in case.results])
    if open_:
        return open_
    ended = [(probe, case.results[probe.key]) for probe in probes if probe.key in case.results]
    return overfitting(case, [effect(case, probe, result) for probe, result in ended if result.usable])
