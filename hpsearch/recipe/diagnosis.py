"""Step 6: what a curve says. Passive rules on one run's features, in recipe.md's order (§3 step 6).

Rules on one log can't tell "learning rate too low" from "model too small", so each carries a confidence
below that of a counterfactual probe, and names its alternatives.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpsearch.recipe.case import Case
from hpsearch.recipe.history import Facts
from hpsearch.records import Evidence, Trial, TrialState, Verdict
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

HEAVY_DECAY, HEAVY_DROPOUT = 1e-3, 0.3
FITTED = 0.95  # training accuracy from which a model is not underfit
FULLY_FITTED = 0.995
AT_CHANCE = 0.95  # of the loss at chance
FLAT_FRACTION, FLAT_STEPS = 0.10, 20
NEAR_MAJORITY, FAR_ABOVE_CHANCE = 0.05, 0.25
GAP, WIDE_GAP, VAL_RISE = 0.10, 0.20, 1.10
PLATEAU_SLOPE = 0.005  # log training loss per epoch below which nothing moves
LATE_BEST = 0.75  # position of the best epoch from which longer training may pay
DROP_AFTER_CUT = 0.25
NOISY = 2.0  # times the binomial standard error
MIN_EVALUATIONS = 3


@dataclass(frozen=True)
class Symptoms:
    """One point's features: medians over its replicates, the task's facts, its hyperparameters."""

    features: dict[str, float]
    facts: Facts
    values: Params
    accuracy: bool  # whether the objective is a share of 1, so that thresholds in points apply
    val_size: float

    @classmethod
    def of(cls, trials: Sequence[Trial], facts: Facts, values: Params, *, accuracy: bool) -> "Symptoms":
        """Raises ValueError without a completed trial."""
        done = [t for t in trials if t.state is TrialState.COMPLETED]
        names = {name for t in done for name in t.measurements}
        features = {
            name: statistics.median(known)
            for name in names
            if (known := [v for t in done if not math.isnan(v := t.measurement(name))])
        }
        if not done:
            raise ValueError("no completed run to judge")
        return cls(features, facts, values, accuracy, features.get("val_size", math.nan))

    @classmethod
    def of_case(cls, case: Case) -> "Symptoms":
        """Of one examined run."""
        features = {
            name: float(value)
            for name, value in case.run.seen.measurements.items()
            if not isinstance(value, list) and not math.isnan(value)
        }
        return cls(features, case.facts, case.values, case.accuracy, features.get("val_size", math.nan))

    def get(self, name: str) -> float:
        return self.features.get(name, math.nan)

    def number(self, name: str) -> float:
        """A numeric hyperparameter."""
        value = self.values[name]
        return float(value) if not isinstance(value, str) else math.nan


Rule = Callable[[Symptoms], Verdict | None]


def passive(symptoms: Symptoms) -> Verdict:
    """The first rule that holds, with all numbers beside it; ok where none does."""
    shown = tuple(_evidence(symptoms))
    if symptoms.get("evaluations") < MIN_EVALUATIONS or math.isnan(symptoms.get("evaluations")):
        text = f"fewer than {MIN_EVALUATIONS} evaluations: too short to judge"
        return Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0, evidence=shown)
    verdicts = [verdict for rule in RULES if (verdict := rule(symptoms)) is not None]
    if not verdicts:
        return Verdict(code=VerdictCode.OK, text=_healthy(symptoms), confidence=0.7, evidence=shown)
    others = tuple(dict.fromkeys(v.code for v in verdicts[1:] if v.code != verdicts[0].code))
    return verdicts[0].model_copy(
        update={"evidence": shown, "alternatives": (*verdicts[0].alternatives, *others)}
    )


def _evidence(s: Symptoms) -> list[Evidence]:
    wanted = (
        ("train_loss_end", "training loss at the end", ""),
        ("val_loss_end", "validation loss at the end", ""),
        ("train_objective_end", "training objective at the end", f">= {FITTED} fits" if s.accuracy else ""),
        ("objective_best", "best validation objective", ""),
        ("gap", "gap training - validation", f"<= {GAP}" if s.accuracy else ""),
        ("val_loss_rise", "validation loss: last / lowest", f"<= {VAL_RISE}"),
        ("best_position", "position of the best epoch", f"< {LATE_BEST} or fitted"),
        ("train_slope", "late slope of log training loss per epoch", ""),
        ("train_trend_p", "p that training loss still falls (Mann-Kendall)", ""),
        ("flat_fraction", "share of steps before the loss moved", f"<= {FLAT_FRACTION}"),
        ("noise", "minibatch noise", ""),
        ("update_ratio_median", "update / weight magnitude", "1e-4 to 1e-1 is usual"),
    )
    return [
        Evidence(name=text, value=s.get(name), threshold=limit)
        for name, text, limit in wanted
        if name in s.features
    ]


def _verdict(code: VerdictCode, text: str, confidence: float, *alternatives: VerdictCode) -> Verdict:
    return Verdict(code=code, text=text, confidence=confidence, alternatives=alternatives)


def _unfitted(s: Symptoms) -> bool:
    """The training data is not fit: below 95 % accuracy, or for other objectives a loss above 5 % of chance."""
    if s.accuracy:
        return s.get("train_objective_end") < FITTED
    return s.get("train_loss_end") > (1 - FITTED) * s.facts.chance_loss


def _never_learned(s: Symptoms) -> bool:
    return s.get("loss_best") >= AT_CHANCE * s.facts.chance_loss


def _over_regularized(s: Symptoms) -> Verdict | None:
    heavy = s.number("weight_decay") > HEAVY_DECAY or s.number("dropout") > HEAVY_DROPOUT
    if not (heavy and _unfitted(s)) or s.get("gap") > GAP:
        return None
    return _verdict(
        VerdictCode.OVER_REGULARIZED,
        "regularization is heavy and the training data is not fit",
        0.6,
        VerdictCode.UNDERFIT,
    )


def _decay_too_early(s: Symptoms) -> Verdict | None:
    if not s.get("lr_drops") or math.isnan(s.get("lr_drops")) or not _unfitted(s):
        return None
    before, after = s.get("slope_before_drop"), s.get("slope_after_drop")
    if not (before < -PLATEAU_SLOPE and abs(after) < DROP_AFTER_CUT * abs(before)):
        return None
    return _verdict(
        VerdictCode.DECAY_TOO_EARLY,
        "the loss was still falling when the learning rate was cut, and stopped then",
        0.7,
    )


def _not_learning(s: Symptoms) -> Verdict | None:
    if not _never_learned(s):
        return None
    if s.get("loss_spike") > 1.5:
        return _verdict(
            VerdictCode.LR_TOO_HIGH,
            "the loss jumps above its start and stays at chance",
            0.7,
            VerdictCode.UNDERFIT,
        )
    if s.get("update_ratio_median") < 1e-5:
        return _verdict(
            VerdictCode.LR_TOO_LOW,
            "updates are tiny beside the weights and the loss stays at chance",
            0.6,
            VerdictCode.VANISHING,
        )
    return _verdict(
        VerdictCode.UNDERFIT,
        "the loss never falls below chance",
        0.5,
        VerdictCode.BAD_INIT,
        VerdictCode.LR_TOO_HIGH,
    )


def _late_start(s: Symptoms) -> Verdict | None:
    if (
        not (s.get("flat_fraction") > FLAT_FRACTION and s.get("flat_steps") > FLAT_STEPS)
        or s.number("warmup_epochs") > 0
    ):
        return None
    return _verdict(
        VerdictCode.BAD_INIT,
        f"the loss was flat for {s.get('flat_steps'):.0f} steps before it fell",
        0.5,
        VerdictCode.LR_TOO_LOW,
    )


def _labels(s: Symptoms) -> Verdict | None:
    if not s.accuracy or math.isnan(s.facts.majority):
        return None
    train_far = s.get("train_objective_end") > s.facts.majority + FAR_ABOVE_CHANCE
    val_at_chance = s.get("objective_best") < s.facts.majority + NEAR_MAJORITY
    if not (train_far and val_at_chance):
        return None
    return _verdict(
        VerdictCode.LABELS,
        "training data is learned by heart, but validation stays at the majority class",
        0.8,
        VerdictCode.OVERFIT,
    )


def _overfit(s: Symptoms) -> Verdict | None:
    gap, rise = s.get("gap"), s.get("val_loss_rise")
    if s.accuracy:
        # Validation loss alone is no evidence: it rises in healthy digits runs at 97.6 %.
        overfit = (gap > GAP and rise > VAL_RISE) or gap > WIDE_GAP
    else:
        overfit = rise > VAL_RISE and s.get("train_loss_end") < 0.5 * s.get("val_loss_end")
    if not overfit:
        return None
    return _verdict(
        VerdictCode.OVERFIT,
        f"validation lags training by {_points(s, gap)} and its loss rose x{rise:.2g} above its lowest",
        0.8,
    )


def _plateau(s: Symptoms) -> Verdict | None:
    """Not fitted, and the training loss has stopped at a noisy level: a lower rate would settle it."""
    if not _unfitted(s) or s.values.get("schedule") != "constant" or _never_learned(s):
        return None
    stopped = abs(s.get("train_slope")) < PLATEAU_SLOPE or s.get("train_trend_p") > 0.2
    if not (stopped and s.get("noise") > 0.2):
        return None
    return _verdict(
        VerdictCode.PLATEAU_DECAY,
        "the training loss stopped falling at a noisy level",
        0.5,
        VerdictCode.LR_TOO_HIGH,
    )


def _train_longer(s: Symptoms) -> Verdict | None:
    fitted = s.accuracy and s.get("train_objective_end") >= FULLY_FITTED
    still_falling = s.get("train_slope") < -PLATEAU_SLOPE and s.get("val_slope") < 0
    late_best = s.get("best_position") > LATE_BEST
    if fitted or not (still_falling and late_best and s.get("val_gain_se") > 0):
        return None
    return _verdict(
        VerdictCode.TRAIN_LONGER,
        "training and validation still improve, and the best epoch is among the last",
        0.7,
    )


def _underfit(s: Symptoms) -> Verdict | None:
    if not _unfitted(s) or s.get("gap") >= GAP:
        return None
    return _verdict(
        VerdictCode.UNDERFIT, "training is not fit and validation is as good as training", 0.4, VerdictCode.OK
    )


def _noisy_evaluation(s: Symptoms) -> Verdict | None:
    value, size = s.get("objective_end"), s.val_size
    if not s.accuracy or math.isnan(size) or not 0 < value < 1:
        return None
    binomial = math.sqrt(value * (1 - value) / size)
    if not s.get("objective_se") > NOISY * binomial:
        return None
    return _verdict(
        VerdictCode.NOISY_EVAL, "validation jumps more between epochs than its size explains", 0.6
    )


def _points(s: Symptoms, gap: float) -> str:
    return f"{100 * gap:.1f} points" if s.accuracy else f"{gap:.3g}"


def _healthy(s: Symptoms) -> str:
    return (
        f"healthy: training {s.get('train_objective_end'):.3g}, validation {s.get('objective_best'):.3g} at best, "
        f"gap {_points(s, s.get('gap'))}"
    )


RULES: tuple[Rule, ...] = (
    _over_regularized,
    _decay_too_early,
    _not_learning,
    _late_start,
    _labels,
    _overfit,
    _train_longer,
    _plateau,
    _underfit,
    _noisy_evaluation,
)
