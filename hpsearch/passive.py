"""A run judged by its curves alone: what can be known without training anything.

`recipe.diagnosis.passive` holds the rules. Here a run's curves are made ready for them, the two cases they
leave out are judged (a run that blew up, one too short), and the answer says what a probe would need.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hpsearch import curves
from hpsearch.curves import Curve
from hpsearch.recipe.diagnosis import MIN_EVALUATIONS, Symptoms, passive
from hpsearch.recipe.history import Facts
from hpsearch.recipe.remedies import TEXTS
from hpsearch.recipe.segments import segment_of
from hpsearch.records import Evidence, Remedy, Verdict
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

EXPLODED = 4.0  # times its best that a loss which also exceeds its start has exploded (fastai, lr_find)
OFTEN = 2  # measured so many times as often as the evaluations, a training metric is one of minibatches
MANY = 500  # evaluations that are looked at: slopes compare each with each
LEARNED = 0.9  # training accuracy from which a loss that does not fall has fallen before
LOSSES = ("loss", "train_loss", "val_loss")

# The experiment that would confirm each verdict (recipe.md, step 6): the same run with one knob changed.
PROBES: Mapping[VerdictCode, str] = {
    VerdictCode.LR_TOO_HIGH: "100 steps at a third and a tenth of the learning rate",
    VerdictCode.LR_TOO_LOW: "100 steps at 3 to 100 times the learning rate",
    VerdictCode.UNDERFIT: "the same run with 4 times the width, and 100 steps at other learning rates",
    VerdictCode.OVERFIT: "the same run with more weight decay or dropout",
    VerdictCode.OVER_REGULARIZED: "the same run without weight decay and dropout",
    VerdictCode.DECAY_TOO_EARLY: "the same run with the learning rate cut 2.5 times later",
    VerdictCode.PLATEAU_DECAY: "a quarter more epochs from the last checkpoint at a tenth of the learning rate",
    VerdictCode.TRAIN_LONGER: "a quarter more epochs from the last checkpoint",
    VerdictCode.BAD_INIT: "the loss at initialization, and the same run with a rescaled initialization",
    VerdictCode.LABELS: "a look at the labels; the same run with validation drawn from the training data",
    VerdictCode.NOISY_EVAL: "the last checkpoint on a larger validation set",
}


@dataclass(frozen=True)
class Observed:
    """A run as it was seen from outside.

    `objective`: the metric it is judged by, `val_...`. `values`: every hyperparameter, defaults where it is
    unknown. `facts`: of the task, NaN where unknown. `diverged_at`: the step, where training said so itself.
    """

    curve: Curve
    objective: str
    direction: Literal["minimize", "maximize"]
    values: Params
    facts: Facts
    val_size: float = math.nan
    diverged_at: int | None = None

    @property
    def accuracy(self) -> bool:
        return "accuracy" in self.objective


def judged(run: Observed) -> Verdict:
    """The verdict with its evidence, the segment it speaks of and a remedy in words."""
    blown_up = _blown_up(run)
    verdict = blown_up if blown_up is not None else _by_rules(run)
    remedy = Remedy(text=TEXTS[verdict.code]) if verdict.code in TEXTS else None
    segment = verdict.segment or segment_of(verdict.code, run.curve)
    return verdict.model_copy(update={"remedy": verdict.remedy or remedy, "segment": segment})


def note_on(code: VerdictCode) -> str:
    """That no experiment was run, and which one would prove the verdict."""
    experiment = PROBES.get(code)
    if code is VerdictCode.OK or code is VerdictCode.NOT_ENOUGH_EVIDENCE or experiment is None:
        return "judged from its curves alone, no experiment was run"
    return f"judged from its curves alone; to prove it: {experiment}"


def points(curve: Curve, name: str) -> tuple[Sequence[int], Sequence[float]]:
    """A metric's steps and values; empty where it was not measured."""
    return curve.get(name, ((), ()))


def facts_from(curve: Curve, classes: int | None, *, learned: bool) -> Facts:
    """Facts of a task that nobody measured. Chance is the log of the number of classes; where that is unknown the
    first training loss stands for it, unless the run had `learned` before its first line was written.
    """
    first = next((v for name in LOSSES for v in points(curve, name)[1] if math.isfinite(v)), math.nan)
    chance = math.log(classes) if classes else (math.nan if learned else first)
    return Facts(
        expected_loss=chance,
        label_entropy=math.nan,
        classes=float(classes) if classes else math.nan,
        majority=1 / classes if classes else math.nan,
        steps_per_epoch=math.nan,
        baseline=(),
    )


def has_learned(curve: Curve) -> bool:
    """Whether training accuracy is high at the end."""
    values = [v for v in points(curve, "train_accuracy")[1] if math.isfinite(v)]
    return bool(values) and values[-1] >= LEARNED


# --- the run that blew up ------------------------------------------------------------------------


def _blown_up(run: Observed) -> Verdict | None:
    """The loss ends non-finite, or far above its start; None otherwise."""
    for name in LOSSES:
        steps, values = points(run.curve, name)
        if len(values) and not math.isfinite(values[-1]):
            at = max((i + 1 for i, value in enumerate(values) if math.isfinite(value)), default=0)
            return _non_finite(name, steps, values, at)
    if run.diverged_at is not None:
        return _exploded(run, f"the loss diverged at step {run.diverged_at}", 0.8)
    for name in ("loss", "train_loss"):
        finite = [v for v in points(run.curve, name)[1] if math.isfinite(v)]
        smooth = curves.smoothed(finite) if name == "loss" and finite else np.asarray(finite)
        if len(smooth) >= MIN_EVALUATIONS and smooth[-1] > max(EXPLODED * smooth.min(), finite[0]) > 0:
            text = (
                f"the training loss ends at {smooth[-1]:.3g}, above its start and {EXPLODED:g} times its best"
            )
            return _exploded(run, text, 0.7)
    return None


def _non_finite(name: str, steps: Sequence[int], values: Sequence[float], at: int) -> Verdict:
    evidence = (Evidence(name=f"{name} at step {steps[at]}", value=values[at], threshold="finite", ok=False),)
    if at == 0 and name == "loss":
        return Verdict(
            code=VerdictCode.INPUT_SCALE,
            text=f"{name} is not finite from its first value on, before the learning rate could matter: look for NaN or "
            "huge numbers in the inputs",
            confidence=0.5,
            evidence=evidence,
            alternatives=(VerdictCode.BAD_INIT, VerdictCode.LOSS_BUG),
            segment=(int(steps[0]), int(steps[-1])),
        )
    before = f"; its last finite value is {values[at - 1]:.3g}" if at else ""
    return Verdict(
        code=VerdictCode.LR_TOO_HIGH,
        text=f"{name} is not finite from step {steps[at]} on{before}",
        confidence=0.8,
        evidence=evidence,
        alternatives=(VerdictCode.BAD_INIT, VerdictCode.INPUT_SCALE),
        segment=(int(steps[max(at - 1, 0)]), int(steps[-1])),
    )


def _exploded(run: Observed, text: str, confidence: float) -> Verdict:
    found = curves.features(_measurable(run.curve), run.objective, run.direction)
    wanted = (
        ("loss_first", "first training loss", ""),
        ("loss_best", "lowest training loss (smoothed)", ""),
        ("loss_end", "training loss at the end (smoothed)", f"<= {EXPLODED:g} x lowest, or below the first"),
        ("loss_spike", "highest / first training loss", ""),
    )
    evidence = tuple(Evidence(name=n, value=found[k], threshold=t) for k, n, t in wanted if k in found)
    return Verdict(
        code=VerdictCode.LR_TOO_HIGH,
        text=text,
        confidence=confidence,
        evidence=evidence,
        alternatives=(VerdictCode.BAD_INIT, VerdictCode.INPUT_SCALE),
    )


# --- the rules -----------------------------------------------------------------------------------


def _by_rules(run: Observed) -> Verdict:
    curve = _measurable(run.curve)
    found = curves.features(curve, run.objective, run.direction)
    evaluations = len(points(curve, "val_loss")[1]) or len(points(curve, run.objective)[1])
    trained = points(curve, "train_loss")[1] or points(curve, "loss")[1]
    if evaluations < MIN_EVALUATIONS and (evaluations or len(trained) < MIN_EVALUATIONS):
        return _too_short(curve)
    if len(trained):
        found.setdefault("loss_first", float(trained[0]))
        found.setdefault("loss_best", float(min(trained)))
    symptoms = Symptoms(
        features={"evaluations": float(evaluations or len(trained)), **found},
        facts=run.facts,
        values=run.values,
        accuracy=run.accuracy and run.objective in curve,
        val_size=run.val_size,
    )
    verdict = passive(symptoms)
    if not evaluations and verdict.code is VerdictCode.OK:
        return _unsaid(
            verdict,
            "the training loss falls, but without a validation loss nobody can say whether that is of any use",
        )
    return verdict


def _unsaid(verdict: Verdict, text: str) -> Verdict:
    """`not_enough_evidence` with the numbers of another verdict."""
    return verdict.model_copy(
        update={"code": VerdictCode.NOT_ENOUGH_EVIDENCE, "text": text, "confidence": 1.0, "remedy": None}
    )


def _too_short(curve: Curve) -> Verdict:
    counts = {name: len(points(curve, name)[1]) for name in LOSSES}
    missing = MIN_EVALUATIONS - counts["val_loss"]
    seen = ", ".join(f"{count} of {name}" for name, count in counts.items() if count) or "no loss at all"
    text = (
        f"too short to judge: {seen}; at least {MIN_EVALUATIONS} values of val_loss are needed, "
        f"{missing} more: train longer or evaluate more often"
    )
    evidence = tuple(
        Evidence(name=f"values of {name}", value=float(count), threshold=f">= {MIN_EVALUATIONS}", ok=count >= MIN_EVALUATIONS)
        for name, count in counts.items()
    )  # fmt: skip
    return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0, evidence=evidence)


def _measurable(curve: Curve) -> dict[str, tuple[list[int], list[float]]]:
    """The curves without their holes: values that are not finite left out, training metrics of minibatches
    averaged between evaluations, `train_loss` from minibatches where it was not measured.
    """
    finite = {
        name: ([s for s, v in zip(steps, values, strict=True) if math.isfinite(v)], [v for v in values if math.isfinite(v)])
        for name, (steps, values) in curve.items()
    }  # fmt: skip
    at = points(finite, "val_loss")[0]
    if not len(at):
        return _thinned(finite)
    averaged = {
        name: between(at, steps, values)
        for name, (steps, values) in finite.items()
        if name.startswith("train_") and len(steps) >= OFTEN * len(at)
    }
    if "train_loss" not in finite and len(points(finite, "loss")[0]) >= len(at):
        averaged["train_loss"] = between(at, *finite["loss"])
    return _thinned({**finite, **averaged})


def _thinned(curve: Curve) -> dict[str, tuple[list[int], list[float]]]:
    """At most `MANY` values of each metric but the minibatch losses, both ends among them."""
    return {
        name: (list(steps), list(values))
        if name == "loss"
        else ([steps[i] for i in kept], [values[i] for i in kept])
        for name, (steps, values) in curve.items()
        for kept in [curves.thinned(len(steps), MANY)]
    }


def between(at: Sequence[int], steps: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Means of the values after each step of `at` up to the next, the first from the start."""
    place = np.searchsorted(at, steps, side="left")
    sums = np.bincount(place, weights=values, minlength=len(at) + 1)[: len(at)]
    counts = np.bincount(place, minlength=len(at) + 1)[: len(at)]
    kept = np.flatnonzero(counts).tolist()
    return [at[i] for i in kept], [float(sums[i] / counts[i]) for i in kept]


# --- where to look -------------------------------------------------------------------------------
