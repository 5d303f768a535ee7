"""Verdicts of an examination in words: what is wrong, the numbers, the probe that proved it, the remedy."""

import math
from collections.abc import Sequence

from hpsearch.recipe import initial_loss
from hpsearch.recipe.case import Case
from hpsearch.recipe.effects import Effect
from hpsearch.recipe.remedies import TEXTS
from hpsearch.recipe.suspicions import Suspicion
from hpsearch.records import Evidence, Remedy, Verdict
from hpsearch.vocabulary import VerdictCode

BUGS = frozenset({VerdictCode.LOSS_BUG, VerdictCode.VAL_MISMATCH, VerdictCode.LABELS, VerdictCode.NOISY_EVAL})
PROVEN, PASSIVE, CLEAR = 0.9, 0.5, 0.95  # confidences


def bug(case: Case) -> Verdict | None:
    """What the measurements of step 1 prove by themselves."""
    found = [v for v in initial_loss.failures(case.check) if v.code in BUGS]
    if not found:
        return None
    others = tuple(dict.fromkeys(v.code for v in found[1:] if v.code is not found[0].code))
    return found[0].model_copy(update={"evidence": evidence(case), "alternatives": others})


def not_enough(case: Case, least: int) -> Verdict | None:
    """A run that ended before it can be judged."""
    if case.run.diverged:
        return None
    evaluations = case.feature("evaluations")
    if case.run.usable and evaluations >= least:
        return None
    seen = 0 if math.isnan(evaluations) else int(evaluations)
    text = (
        f"{seen} evaluations of the validation data, and a judgement needs {least}: train for more epochs"
        if case.run.usable
        else f"the run ended as {case.run.state}: there is nothing to judge"
    )
    return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0, evidence=evidence(case))


def healthy(case: Case) -> Verdict:
    text = f"healthy: {_level(case)}"
    return Verdict(code=VerdictCode.OK, text=text, confidence=CLEAR, evidence=evidence(case))


def still_ok(case: Case, tried: Sequence[tuple[Suspicion, Effect]]) -> Verdict:
    """Nothing that was tried helps: the run is at the noise floor of its model family."""
    names = ", ".join(dict.fromkeys(_change(effect) for _, effect in tried)) or "nothing"
    text = f"at the floor of this model and data: {_level(case)}; tried without gain: {names}"
    return Verdict(code=VerdictCode.OK, text=text, confidence=0.8, evidence=evidence(case))


def unproven(case: Case, suspects: Sequence[Suspicion]) -> Verdict:
    """A passive judgement: the first suspicion, with the others as alternatives."""
    first = suspects[0]
    others = tuple(dict.fromkeys(s.code for s in suspects[1:] if s.code is not first.code))
    return Verdict(
        code=first.code,
        text=f"{first.why} (not proved by a probe)",
        confidence=PASSIVE,
        evidence=evidence(case),
        remedy=Remedy(text=TEXTS[first.code], changes=changes_of(first)),
        alternatives=others,
    )


def proven(case: Case, suspicion: Suspicion, best: Effect, others: tuple[VerdictCode, ...]) -> Verdict:
    probe = probe_of(case, best)
    text = f"{suspicion.why}; with {_change(best)} {_before_after(case, best)}"
    return Verdict(
        code=suspicion.code,
        text=text,
        confidence=PROVEN if best.decisive else 0.75,
        evidence=evidence(case),
        remedy=Remedy(
            text=TEXTS[suspicion.code],
            changes={name: [value] for name, value in remedial(best).items()},
        ),
        probe=probe,
        alternatives=others,
    )


def overfitting(case: Case, effects: Sequence[Effect]) -> Verdict:
    """Validation lags; the regularizer that helped most, where one did, is the remedy."""
    best = max(effects, key=lambda e: e.after.val_skill, default=None)
    helps = best is not None and best.helps_validation
    rise = case.feature("val_loss_rise")
    text = f"validation lags behind training: {_level(case)}; validation loss ended at {rise:.2g} times its lowest"
    changes = {} if best is None else {name: [value] for name, value in remedial(best).items()}
    return Verdict(
        code=VerdictCode.OVERFIT,
        text=f"{text}; with {_change(best)} {_before_after(case, best)}" if helps and best else text,
        confidence=PROVEN if helps else 0.8,
        evidence=evidence(case),
        remedy=Remedy(text=TEXTS[VerdictCode.OVERFIT], changes=changes),
        probe=probe_of(case, best) if best is not None else None,
        alternatives=(VerdictCode.LABELS,),
    )


# --- parts -----------------------------------------------------------------------------------------


def remedial(best: Effect) -> dict[str, float | int | str | bool]:
    """The changes of a probe that a next run takes over: not those that only kept its schedule's length."""
    own = dict(best.probe.changes)
    if "schedule" not in own:
        own.pop("schedule_epochs", None)
    if best.probe.continues and not own:
        own["epochs"] = round(2 * best.probe.epochs / 1.25)
    return own


def changes_of(suspicion: Suspicion) -> dict[str, list[float | int | str | bool]]:
    names = dict.fromkeys(name for change in suspicion.tries for name in change)
    return {name: [change[name] for change in suspicion.tries if name in change] for name in names}


def probe_of(case: Case, best: Effect) -> dict[str, object]:
    """The counterfactual pair: what was changed, and the validation figure without and with it."""
    name = next(iter(remedial(best)), "epochs")
    figure = f"val_{case.metric}" if case.accuracy else "val_skill"
    pick = (lambda level: level.val_metric) if case.accuracy else (lambda level: level.val_skill)
    return {
        "knob": name,
        "changes": remedial(best),
        "epochs": best.probe.epochs,
        "continues": best.probe.continues,
        "metric": figure,
        "before": pick(best.before),
        "after": pick(best.after),
        "end": pick(best.end),
        "train_before": best.before.train_skill,
        "train_after": best.after.train_skill,
    }


def _change(found: Effect) -> str:
    changes = remedial(found)
    if found.probe.continues and "schedule" not in changes:
        return f"{found.probe.epochs:g} epochs"
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


def evidence(case: Case) -> tuple[Evidence, ...]:
    """The measurements of step 1 and of the curve, each with the threshold it was held against."""
    found = list(initial_loss.evidence(case.check))
    run = case.run.seen
    for name, text, limit in CURVE_EVIDENCE:
        value = run.measurement(name)
        if not math.isnan(value):
            found.append(Evidence(name=text, value=value, threshold=limit))
    return tuple(found)


CURVE_EVIDENCE = (
    ("train_loss_end", "training loss at the end", ""),
    ("val_loss_end", "validation loss at the end", ""),
    ("train_objective_end", "training objective at the end", ""),
    ("objective_best", "best validation objective", ""),
    ("gap", "gap training - validation", "<= 0.1 for shares"),
    ("val_loss_rise", "validation loss: last / lowest", "<= 1.1"),
    ("best_position", "position of the best epoch", ""),
    ("train_slope", "late slope of log training loss per epoch", ">= -0.005 has settled"),
    ("train_trend_p", "p that training loss still falls (Mann-Kendall)", ""),
    ("flat_fraction", "share of steps before the loss moved", "<= 0.1"),
    ("loss_spike", "highest smoothed loss / first", "<= 1.5"),
    ("noise", "minibatch noise", ""),
    ("update_ratio_median", "update / weight magnitude", "1e-4 to 1e-1 is usual"),
    ("diverged_at", "step at which the loss left", ""),
)
