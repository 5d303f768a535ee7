"""Step 6 with probes: which counterfactual to run next, and what all of them say.

Pure: `examine` is asked again with each new result until it answers with a verdict. A run that learned all
there is and generalizes is ok without a probe; a bug of step 1 needs none either. Everything else is proved:
the verdict is the change that helps (recipe.md §3.0).
"""

from collections.abc import Sequence

from hpsearch.recipe.case import Case, Probe
from hpsearch.recipe.effects import VAL_GAIN, effect
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
from hpsearch.recipe.probing import affordable, best_effect, followed, next_probes
from hpsearch.recipe.proof import cause, helps, slower
from hpsearch.recipe.segments import evaluated_curve, segment_of
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.recipe.suspicions import regularizers, suspicions
from hpsearch.records import Verdict
from hpsearch.vocabulary import VerdictCode

LEAST_EVALUATIONS = 3
SMALL_GAP, GAP, WIDE_GAP, VAL_RISE = 0.02, 0.10, 0.20, 1.10
SKILL_GAP, FAR_APART = 0.15, 0.5  # of the loss explained
# Of the validation figure that half of the training data cost: healthy runs lost 0.031 at most.
DATA_SLOPE = 0.045


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
    suspects = followed(case, suspects)
    wanted = next_probes(case, suspects)
    return wanted or _conclude(case, suspects)


def overfits(case: Case) -> bool:
    """Validation lags far behind training. Its loss alone is no evidence: it rises in healthy runs too."""
    gap, rise = gap_of(case), case.feature("val_loss_rise")
    apart = case.end.train_skill - case.end.val_skill
    if gap > GAP / 2 + 2 * case.noise and apart > FAR_APART:
        return True
    return (gap > GAP + case.noise and rise > VAL_RISE) or gap > WIDE_GAP + case.noise


def gap_of(case: Case) -> float:
    """Training minus validation: points of a share, else of the loss explained."""
    if case.accuracy:
        return case.end.train_metric - case.end.val_metric
    return case.end.train_skill - case.end.val_skill


def _conclude(case: Case, suspects: Sequence[Suspicion]) -> tuple[Probe, ...] | Verdict:
    """The most specific suspicion whose change does nearly as much as the best change of all."""
    tried = [
        (suspicion, best) for suspicion in suspects if (best := best_effect(case, suspicion)) is not None
    ]
    longer = next((e for s, e in tried if s.code is VerdictCode.TRAIN_LONGER), None)
    helping = [(s, e) for s, e in tried if helps(case, s, e, longer)]
    if helping:
        suspicion, best = slower(case, tried, helping) or cause(case, suspects, helping)
        others = tuple(dict.fromkeys(s.code for s, _ in helping if s.code is not suspicion.code))
        return proven(case, suspicion, best, others)
    if overfits(case):
        return _overfit(case)
    lags = gap_of(case) > GAP + 2 * case.noise
    if case.fitted and not lags and gap_of(case) > max(SMALL_GAP, 2 * case.noise):
        return _short_of_data(case)
    return without_proof(case, suspects, tried, lags, LEAST_EVALUATIONS)


def _short_of_data(case: Case) -> tuple[Probe, ...] | Verdict:
    """A small gap is overfitting where data are short: then half of them do clearly worse."""
    probe = Probe({"train_fraction": case.number("train_fraction") / 2}, case.epochs)
    result = case.results.get(probe.key)
    if result is None and (open_ := affordable(case, [probe])):
        return open_
    if result is not None and result.usable:
        halved = effect(case, probe, result)
        lost = halved.lost
        # Losses that far apart leave less to prove.
        apart = case.end.train_skill - case.end.val_skill > SKILL_GAP
        if lost > (max(VAL_GAIN, case.noise) if apart else max(DATA_SLOPE, 2 * case.noise)):
            return short_of_data(case, halved)
    return without_proof(case, (), (), False, LEAST_EVALUATIONS)


def _overfit(case: Case) -> tuple[Probe, ...] | Verdict:
    probes = [Probe(changes, max(1.0, round(case.epochs / 2))) for changes in regularizers(case)]
    open_ = affordable(case, [probe for probe in probes if probe.key not in case.results])
    if open_:
        return open_
    ended = [(probe, case.results[probe.key]) for probe in probes if probe.key in case.results]
    return overfitting(case, [effect(case, probe, result) for probe, result in ended if result.usable])
