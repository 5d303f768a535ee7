"""Verdicts of an examination in words: what is wrong, the numbers, the probe that proved it, the remedy."""

import math
from collections.abc import Sequence

from hpsearch.recipe import initial_loss
from hpsearch.recipe.case import Case, Level
from hpsearch.recipe.curve_evidence import evidence
from hpsearch.recipe.diagnosis import Symptoms, passive
from hpsearch.recipe.effects import Effect
from hpsearch.recipe.mending import made, mending, remedial, worth_trying
from hpsearch.recipe.remedies import TEXTS
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.records import Remedy, Verdict
from hpsearch.vocabulary import VerdictCode

BUGS = frozenset({VerdictCode.LOSS_BUG, VerdictCode.VAL_MISMATCH, VerdictCode.LABELS, VerdictCode.NOISY_EVAL})
LEAST_STEPS = 10
CALM = 1.5  # times its start
MODE_FACTOR, MODE_SHARE, MODE_NOISE, SMALL_BATCH = 2.0, 0.03, 0.5, 8
NEAR_MAJORITY, FAR_ABOVE = 0.05, 0.25  # validation at chance, training far above it (recipe.md, rule 8)
HALFWAY = 0.5  # from chance to perfect
EASIER = 0.12  # that validation is ahead of training
PROVEN, UNSURE, PASSIVE, CLEAR = 0.9, 0.7, 0.5, 0.95  # confidences


def bug(case: Case) -> Verdict | None:
    """What the measurements of step 1 prove by themselves."""
    found = [v for v in initial_loss.failures(case.check) if v.code in BUGS]
    if not found:
        return None
    others = tuple(dict.fromkeys(v.code for v in found[1:] if v.code is not found[0].code))
    return found[0].model_copy(update={"evidence": evidence(case), "alternatives": others})


def evaluates_otherwise(case: Case) -> Verdict | None:
    """The same training data cost far more in evaluation than the minibatches did: layers that change with
    the mode are out of step. Averaged weights lag on purpose, and too few steps say nothing.
    """
    minibatch, evaluated = case.feature("loss_end"), case.feature("train_loss_end")
    chance = case.facts.chance_loss
    shuffled = bool(case.values["shuffle"]) and case.number("ema_decay") == 0
    if case.collapsed or case.feature("loss_spike") > CALM or not case.learned:
        return None  # it blew up between the last minibatches and the evaluation
    if not shuffled or not evaluated > MODE_FACTOR * minibatch + MODE_SHARE * chance:
        return None
    if case.feature("noise") > MODE_NOISE or case.number("batch_size") < SMALL_BATCH:
        return None
    text = f"minibatches cost {minibatch:.3g} at the end, the same data in evaluation mode {evaluated:.3g}"
    remedy = Remedy(text="look at layers that change with model.eval(): batch norm's momentum, dropout")
    return Verdict(
        code=VerdictCode.NOISY_EVAL,
        text=text,
        confidence=0.8,
        evidence=evidence(case),
        remedy=remedy,
        alternatives=(VerdictCode.VAL_MISMATCH,),
    )


def not_enough(case: Case, least: int) -> Verdict | None:
    """A run that ended before it can be judged."""
    if case.run.diverged:
        return None
    evaluations = case.feature("evaluations")
    steps = case.epochs * case.facts.steps_per_epoch
    if case.run.usable and steps < LEAST_STEPS:
        text = f"{steps:.0f} optimizer steps, and a judgement needs {LEAST_STEPS}: train for more epochs"
        return Verdict(
            code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0, evidence=evidence(case)
        )
    if case.run.usable and evaluations >= least:
        return None
    seen = 0 if math.isnan(evaluations) else int(evaluations)
    text = (
        f"{seen} evaluations of the validation data, and a judgement needs {least}: train for more epochs"
        if case.run.usable
        else f"the run ended as {case.run.state}: there is nothing to judge"
    )
    return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0, evidence=evidence(case))


def easier_validation(case: Case) -> Verdict | None:
    """Validation samples that are far easier than training samples: both are evaluated alike, so it is the
    training labels that are wrong.
    """
    if case.run.diverged or not case.learned:
        return None
    level = case.end
    lead = level.val_metric - level.train_metric if case.accuracy else level.val_skill - level.train_skill
    if not lead > EASIER + 3 * case.noise:
        return None
    text = f"validation is much easier than training: {_level(case)}; wrong labels in training would do that"
    return _unsure(case, VerdictCode.LABELS, text).model_copy(
        update={"confidence": UNSURE, "alternatives": (VerdictCode.VAL_MISMATCH,)}
    )


def healthy(case: Case) -> Verdict:
    text = f"healthy: {_level(case)}"
    return Verdict(code=VerdictCode.OK, text=text, confidence=CLEAR, evidence=evidence(case))


def without_proof(
    case: Case,
    suspects: Sequence[Suspicion],
    tried: Sequence[tuple[Suspicion, Effect]],
    lags: bool,
    least: int,
) -> Verdict:
    """No change that was tried helps."""
    if case.fitted and not lags:
        return healthy(case)
    if case.feature("evaluations") < least and not case.run.diverged:
        found = not_enough(case, least)
        assert found is not None
        return found
    names = ", ".join(dict.fromkeys(_change(case, effect) for _, effect in tried)) or "nothing"
    likeliest = _of_no_learning(case, suspects) or _likeliest(case, suspects, lags)
    if likeliest is not None:
        code, why = likeliest
        return _unsure(case, code, f"{why}; tried without gain: {names}")
    text = f"at the floor of this model and data: {_level(case)}; tried without gain: {names}"
    return Verdict(code=VerdictCode.OK, text=text, confidence=0.8, evidence=evidence(case))


def _likeliest(case: Case, suspects: Sequence[Suspicion], lags: bool) -> tuple[VerdictCode, str] | None:
    """What the numbers speak for although nothing that was tried helps, and why; None for a run at its floor."""
    certain = next((s for s in suspects if s.certain), None)
    if certain is not None:
        return certain.code, certain.why
    if lags:
        return VerdictCode.OVERFIT, f"validation lags behind training: {_level(case)}"
    if case.short and (case.still_falling or (case.descending and case.end.train_skill < HALFWAY)):
        why = f"{case.epochs:g} epochs, and the training loss fell in each: {_level(case)}"
        return VerdictCode.TRAIN_LONGER, why
    return None


def _of_no_learning(case: Case, suspects: Sequence[Suspicion]) -> tuple[VerdictCode, str] | None:
    """Of a run that diverged or learned nothing; None for others."""
    if not case.run.diverged and case.learned:
        return None
    first = next((s for s in suspects if s.strong), None)
    if first is not None:
        return first.code, first.why
    if case.run.diverged:
        return VerdictCode.LR_TOO_HIGH, "the run diverged"
    return VerdictCode.UNDERFIT, "nothing was learned"


def _unsure(case: Case, code: VerdictCode, text: str) -> Verdict:
    remedy = Remedy(text=TEXTS[code])
    return Verdict(code=code, text=text, confidence=PASSIVE, evidence=evidence(case), remedy=remedy)


def unproven(case: Case) -> Verdict:
    """The passive judgement: step 1's failures, then the rules on one curve. Less sure than a probe."""
    failed = [v for v in initial_loss.failures(case.check) if v.confidence > PASSIVE]
    found = failed[0] if failed else passive(Symptoms.of_case(case))
    return found.model_copy(update={"evidence": evidence(case), "confidence": min(found.confidence, UNSURE)})


def proven(case: Case, suspicion: Suspicion, best: Effect, others: tuple[VerdictCode, ...]) -> Verdict:
    probe = probe_of(case, best)
    text = f"{suspicion.why}; with {_change(case, best)} {_before_after(case, best)}"
    return Verdict(
        code=suspicion.code,
        text=text,
        confidence=PROVEN if best.decisive else 0.75,
        evidence=evidence(case),
        remedy=Remedy(
            text=suspicion.advice or TEXTS[suspicion.code],
            changes=worth_trying(mending(case, suspicion, best)),
        ),
        probe=probe,
        alternatives=others,
    )


def overfitting(case: Case, effects: Sequence[Effect]) -> Verdict:
    """Validation lags; the regularizer that helped most, where one did, is the remedy. Validation that is no
    better than naming the commonest class speaks for the labels instead.
    """
    majority, end = case.chance.val_metric, case.end
    if (
        case.accuracy
        and end.val_metric <= majority + NEAR_MAJORITY
        and end.train_metric > majority + FAR_ABOVE
    ):
        text = f"training is learned and validation is at chance: {_level(case)}"
        return _unsure(case, VerdictCode.LABELS, text).model_copy(
            update={"alternatives": (VerdictCode.OVERFIT,)}
        )
    best = max(effects, key=lambda e: e.after.val_skill, default=None)
    helps = best is not None and best.helps_validation
    rise = case.feature("val_loss_rise")
    text = f"validation lags behind training: {_level(case)}; validation loss ended at {rise:.2g} times its lowest"
    changes = {} if best is None else {name: [value] for name, value in remedial(case, best).items()}
    return Verdict(
        code=VerdictCode.OVERFIT,
        text=f"{text}; with {_change(case, best)} {_before_after(case, best)}" if helps and best else text,
        confidence=PROVEN if helps else 0.8,
        evidence=evidence(case),
        remedy=Remedy(text=TEXTS[VerdictCode.OVERFIT], changes=changes),
        probe=probe_of(case, best) if best is not None else None,
        alternatives=(VerdictCode.LABELS,),
    )


def short_of_data(case: Case, halved: Effect) -> Verdict:
    text = (
        f"the training data are learned by heart, validation lags ({_level(case)}), and half of the data cost "
        f"{halved.lost:.2g} more: more data would help"
    )
    return Verdict(
        code=VerdictCode.OVERFIT,
        text=text,
        confidence=0.75,
        evidence=evidence(case),
        remedy=Remedy(text=TEXTS[VerdictCode.OVERFIT]),
        probe=probe_of(case, halved),
    )


# --- parts -----------------------------------------------------------------------------------------


def probe_of(case: Case, best: Effect) -> dict[str, object]:
    """The counterfactual pair: what was changed, and the validation figure without and with it."""
    changes = made(best) or {"epochs": best.probe.epochs}
    figure = f"val_{case.metric}" if case.accuracy else "val_skill"

    def pick(level: Level) -> float:
        return level.val_metric if case.accuracy else level.val_skill

    return {
        "knob": next(iter(changes)),
        "changes": changes,
        "epochs": best.probe.epochs,
        "continues": best.probe.continues,
        "metric": figure,
        "before": pick(best.before),
        "after": pick(best.after),
        "end": pick(best.end),
        "train_before": best.before.train_skill,
        "train_after": best.after.train_skill,
    }


def _change(case: Case, found: Effect) -> str:
    changes = made(found)
    if not changes:
        return f"{found.probe.epochs:g} epochs"
    if found.probe.continues and "schedule" in changes:
        longer = found.probe.epochs - case.epochs
        return f"{longer:g} more epochs at {_short(changes['step_factor'])} times the rate"
    return ", ".join(f"{name} {_short(value)}" for name, value in changes.items())


def _short(value: float | int | str | bool) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()


def _before_after(case: Case, found: Effect) -> str:
    if case.accuracy:
        pair = f"val_{case.metric} goes from {found.before.val_metric:.3g} to {found.after.val_metric:.3g}"
    else:
        pair = f"the share of the loss explained on validation goes from {found.before.val_skill:.2g} to {found.after.val_skill:.2g}"
    return f"{pair} by epoch {found.probe.epochs:g}"


def _level(case: Case) -> str:
    if case.accuracy:
        return f"train_{case.metric} {case.end.train_metric:.3g}, val_{case.metric} {case.end.val_metric:.3g}"
    return f"share of the loss explained: training {case.end.train_skill:.2g}, validation {case.end.val_skill:.2g}"
