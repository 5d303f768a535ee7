"""Step 6 with probes: which counterfactual to run next, and what all of them say.

Pure: `examine` is asked again with each new result until it answers with a verdict. A run that learned all
there is and generalizes is ok without a probe; a bug of step 1 needs none either. Everything else is proved:
the verdict is the change that helps (recipe.md §3.0).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hpsearch.recipe.case import Case, Probe
from hpsearch.recipe.effects import DECISIVE, TRAIN_LOSS_SHARE, VAL_GAIN, Effect, effect
from hpsearch.recipe.findings import (
    bug,
    easier_validation,
    evaluates_otherwise,
    not_enough,
    overfitting,
    proven,
    short_of_data,
    unproven,
    without_proof,
)
from hpsearch.recipe.rates import LARGE_UPDATE, SHORT
from hpsearch.recipe.segments import evaluated_curve, segment_of
from hpsearch.recipe.suspicion import Suspicion, probe_length
from hpsearch.recipe.suspicions import regularizers, suspicions
from hpsearch.records import Verdict
from hpsearch.vocabulary import VerdictCode

LEAST_EVALUATIONS = 3
SMALL_GAP, GAP, WIDE_GAP, VAL_RISE = 0.04, 0.10, 0.20, 1.10
SKILL_GAP = 0.15  # of the loss explained
LENGTH_SLOPE = 0.06  # of the validation figure that half of the run's length costs
DATA_SLOPE = 0.03  # of the validation figure that half of the training data cost
NEAR = 0.7  # of the best gain of several rates
CUT_NEARLY = 0.25
NEARLY = 0.6  # of the best gain: a more specific cause that gets so far is the cause
FAR_BEHIND = -0.1
LESS_TRAIN_LOSS = 0.03
EARLY_LEAD = 0.03  # of all there is to gain, at the same epoch
AS_FAR, FOLLOWED = -0.03, 0.4  # a rate that got nearly as far in an eighth of the run; share to go on for
MUCH_MORE = 3.0  # times what any other change does: then a size is the cause although the run still falls
BLOCKING = (VerdictCode.VANISHING, VerdictCode.DEAD)  # no size helps behind them, only a way around
STRONG_GAIN = 0.015  # that proves what step 1's numbers already say
FASTER = 10**0.5  # neighbours of a proven learning rate


def examine(case: Case) -> tuple[Probe, ...] | Verdict:
    """The probes to run next, or the verdict with the stretch of the curve that it speaks of."""
    answer = _examine(case)
    if not isinstance(answer, Verdict) or answer.segment is not None:
        return answer
    return answer.model_copy(update={"segment": segment_of(answer.code, evaluated_curve(case.run.seen))})


def _examine(case: Case) -> tuple[Probe, ...] | Verdict:
    found = (
        bug(case)
        or evaluates_otherwise(case)
        or not_enough(case, LEAST_EVALUATIONS if not case.allowance else 1)
        or easier_validation(case)
    )
    if found is not None:
        return found
    if not case.allowance:
        return unproven(case)
    suspects = list(suspicions(case))
    if case.fitted or overfits(case):
        # What is learned by heart needs no other rate or size; a sick start can still have cost it dearly.
        suspects = [suspicion for suspicion in suspects if suspicion.strong]
    suspects = _followed(case, suspects)
    wanted = _next(case, suspects)
    return wanted or _conclude(case, suspects)


def overfits(case: Case) -> bool:
    """Validation lags far behind training. Its loss alone is no evidence: it rises in healthy runs too."""
    gap, rise = gap_of(case), case.feature("val_loss_rise")
    return (gap > GAP + case.noise and rise > VAL_RISE) or gap > WIDE_GAP + case.noise


def gap_of(case: Case) -> float:
    """Training minus validation: points of a share, else of the loss explained."""
    if case.accuracy:
        return case.end.train_metric - case.end.val_metric
    return case.end.train_skill - case.end.val_skill


def _followed(case: Case, suspects: Sequence[Suspicion]) -> list[Suspicion]:
    """What leads early, and has not got past the run's end in its short time, is followed for longer.

    A higher rate that gets in an eighth of the run as far as the run in all is at the same floor, or on its way
    past it: it goes behind the probe of size, which a floor calls for. A run without its regularization goes on
    at once.
    """
    found = list(suspects)
    for suspicion in suspects:
        best = _best(case, suspicion)
        if best is None or best.decisive or not _leads(suspicion, best):
            continue
        longer = replace(suspicion, tries=(dict(best.probe.changes),), share=FOLLOWED, follows=True)
        first = found.index(suspicion)
        size = next((i for i, s in enumerate(found) if s.code is VerdictCode.UNDERFIT), len(found) - 1)
        found.insert((max(size, first) if suspicion.refines else first) + 1, longer)
    return found


def _leads(suspicion: Suspicion, best: Effect) -> bool:
    if suspicion.code is VerdictCode.OVER_REGULARIZED:
        return best.helps_early() and best.early_gain > EARLY_LEAD
    if suspicion.code is not VerdictCode.LR_TOO_LOW or not suspicion.refines:
        return False
    return best.early_gain >= DECISIVE or (best.early_gain > EARLY_LEAD and best.gain > AS_FAR)


# --- which probe next ------------------------------------------------------------------------------


def _next(case: Case, suspects: Sequence[Suspicion]) -> tuple[Probe, ...]:
    """The tries of the first suspicion that has some open and can be paid; nothing once one is decisive."""
    for suspicion in suspects:
        probes = _bearable(case, suspicion)
        best = _best(case, suspicion)
        if suspicion.refines and best is not None and (best.decisive or helps(case, suspicion, best, None)):
            probes += _neighbours(case, suspicion, best)
        open_ = _affordable(case, [probe for probe in probes if probe.key not in case.results])
        if open_:
            return open_
        if best is not None and best.decisive:
            return ()
    return ()


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
    stretches = suspicion.halves and case.number("schedule_epochs") == 0
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
    effects = _effects(case, probes_of(case, suspicion))
    if suspicion.refines and effects:
        best = max(effects, key=lambda e: e.gain)
        effects += _effects(case, _neighbours(case, suspicion, best))
    return effects


def _effects(case: Case, probes: Iterable[Probe]) -> list[Effect]:
    found = [(probe, case.results.get(probe.key)) for probe in probes]
    return [effect(case, probe, result) for probe, result in found if result is not None and result.usable]


def _best(case: Case, suspicion: Suspicion) -> Effect | None:
    """The largest gain; of rates the lowest that gains nearly as much: a short probe flatters high ones."""
    effects = effects_of(case, suspicion)
    most = max((e.gain for e in effects), default=0.0)
    if suspicion.refines and most > 0:
        return min((e for e in effects if e.gain >= NEAR * most), key=lambda e: _rate(e.probe))
    return max(effects, key=lambda e: e.gain, default=None)


def _conclude(case: Case, suspects: Sequence[Suspicion]) -> tuple[Probe, ...] | Verdict:
    """The most specific suspicion whose change does nearly as much as the best change of all."""
    tried = [(suspicion, best) for suspicion in suspects if (best := _best(case, suspicion)) is not None]
    longer = next((e for s, e in tried if s.code is VerdictCode.TRAIN_LONGER), None)
    helping = [(s, e) for s, e in tried if helps(case, s, e, longer)]
    if helping:
        suspicion, best = _slower(case, tried, helping) or _cause(case, suspects, helping)
        others = tuple(dict.fromkeys(s.code for s, _ in helping if s.code is not suspicion.code))
        return proven(case, suspicion, best, others)
    if overfits(case):
        return _overfit(case)
    lags = gap_of(case) > GAP + 2 * case.noise
    if case.fitted and not lags and gap_of(case) > SMALL_GAP + 2 * case.noise:
        return _short_of_data(case)
    return without_proof(case, suspects, tried, lags, LEAST_EVALUATIONS)


def _short_of_data(case: Case) -> tuple[Probe, ...] | Verdict:
    """A small gap is overfitting where data are short: then half of them do clearly worse."""
    probe = Probe({"train_fraction": case.number("train_fraction") / 2}, case.epochs)
    result = case.results.get(probe.key)
    if result is None and (open_ := _affordable(case, [probe])):
        return open_
    if result is not None and result.usable:
        halved = effect(case, probe, result)
        lost = halved.lost
        # Losses that far apart leave less to prove.
        apart = case.end.train_skill - case.end.val_skill > SKILL_GAP
        if lost > (max(VAL_GAIN, case.noise) if apart else max(DATA_SLOPE, 2 * case.noise)):
            return short_of_data(case, halved)
    return without_proof(case, (), (), False, LEAST_EVALUATIONS)


def _slower(
    case: Case, tried: Sequence[tuple[Suspicion, Effect]], helping: Sequence[tuple[Suspicion, Effect]]
) -> tuple[Suspicion, Effect] | None:
    """A run at rest that a decay helps had too high a rate all along, unless that rate made more of the start
    than a lower one does.
    """
    if case.still_falling or not any(s.code is VerdictCode.PLATEAU_DECAY for s, _ in helping):
        return None
    return next(
        (
            (s, e)
            for s, e in tried
            if s.code is VerdictCode.LR_TOO_HIGH
            and (e.early_gain > EARLY_LEAD or (e.helps_validation and e.early_gain > 0))
        ),
        None,
    )


def _cause(
    case: Case, suspects: Sequence[Suspicion], helping: Sequence[tuple[Suspicion, Effect]]
) -> tuple[Suspicion, Effect]:
    """Of the changes that help. Partners beside a model also do what a sick model can't, so more capacity is
    the cause only where the run has come to rest and nothing in its start is wrong.
    """
    size = [(s, e) for s, e in helping if s.code is VerdictCode.UNDERFIT]
    sick = next((s for s in suspects if s.strong), None)
    if len(size) == len(helping):
        blocked = sick is not None and (not case.learned or sick.code in BLOCKING)
        return (sick, size[0][1]) if sick is not None and blocked else size[0]
    others = [pair for pair in helping if pair not in size]
    much = size and strength(size[0][1]) > MUCH_MORE * max(strength(e) for _, e in others)
    if sick is not None or (case.still_falling and not much):
        helping = others
    most = max(strength(e) for _, e in helping)

    def enough(suspicion: Suspicion) -> float:
        # A higher rate makes up for what an early cut took away, and not the other way round.
        share = CUT_NEARLY if suspicion.code is VerdictCode.DECAY_TOO_EARLY else NEARLY
        return min(share * most, most)

    return next((s, e) for s, e in helping if strength(e) >= enough(s))


def strength(found: Effect) -> float:
    """What the change is worth; a run of half the length by what it lost."""
    if not found.probe.changes and not found.probe.continues:
        return found.lost
    return max(found.gain, 0.5 * found.early_gain)


def helps(case: Case, suspicion: Suspicion, found: Effect, longer: Effect | None) -> bool:
    """Whether the probe proves the suspicion: better than the run ever got, or far ahead of it so early."""
    if suspicion.halves:
        slope = LENGTH_SLOPE / 2 if case.epochs < SHORT else LENGTH_SLOPE
        return found.lost > max(slope, 2 * case.noise)
    at_end = found.helps_validation and (found.helps_training or case.fitted)
    enough = STRONG_GAIN if suspicion.strong else DECISIVE
    ahead = found.helps_early() and found.early_gain >= enough and found.gain > -0.03
    match suspicion.code:
        case VerdictCode.LR_TOO_LOW:
            # Faster is not better: it must reach in an eighth of the time what the run has reached in all.
            return at_end or (ahead and not case.learned)
        case VerdictCode.PLATEAU_DECAY:
            # More steps at the same rate must not do as well; where steps are large, they do at all events.
            large = case.feature("update_ratio_median") > LARGE_UPDATE
            by = LESS_TRAIN_LOSS if large else TRAIN_LOSS_SHARE
            return at_end and (longer is None or found.beats(longer, by))
        case VerdictCode.TRAIN_LONGER:
            return at_end and (found.helps_clearly or case.epochs < SHORT)
        case VerdictCode.OVER_REGULARIZED:
            return at_end
        case _:
            # A bad start shows in validation, at the same epoch and still at the end, however training fares.
            better = suspicion.strong and found.helps_validation and found.validation_leads
            far_ahead = suspicion.strong and not case.fitted and found.early_gain >= DECISIVE
            return at_end or ahead or better or (far_ahead and found.helps_early())


def _overfit(case: Case) -> tuple[Probe, ...] | Verdict:
    probes = [Probe(changes, max(1.0, round(case.epochs / 2))) for changes in regularizers(case)]
    open_ = _affordable(case, [probe for probe in probes if probe.key not in case.results])
    if open_:
        return open_
    ended = [(probe, case.results[probe.key]) for probe in probes if probe.key in case.results]
    return overfitting(case, [effect(case, probe, result) for probe, result in ended if result.usable])
