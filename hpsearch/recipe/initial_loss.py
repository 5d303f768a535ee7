"""Step 1: check the initial loss against the loss's own expectation, and the unit tests beside it.

Thresholds are recipe.md §3 step 1: pass 0.9-1.5, warn to 2 (TheDeepChecker's 100 %), else fail. A correct
network is not at log C but at about log C + Var(logits)/2, so a 10 % tolerance would flag every one.
"""

import math
import statistics
from collections.abc import Callable

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.history import History
from hpsearch.records import Evidence, Measured, Remedy, Stage, StageState, TrialState, Verdict
from hpsearch.vocabulary import VerdictCode

RATIO_LOW, RATIO_PASS, RATIO_FAIL = 0.9, 1.5, 2.0
FLOOR_SHARE = 0.05  # the loss of perfect outputs, as a share of the expected loss
DUPLICATE_TOLERANCE = 0.1  # a mean over the batch does not change when each sample stands twice
INPUT_MEAN, INPUT_STD_RATIO = 10.0, 100.0
VAL_SHIFT, VAL_STD_RATIO = 0.5, 2.0  # in standard deviations of the training inputs; a factor either way
LABEL_SIGNAL, LABEL_SHARE = 0.25, 0.6  # validation labels that follow the inputs; training labels that don't
CROSS_SHARE, CROSS_DISTANCE = 0.5, 1.15
EVALUATION = 0.02  # of the outputs' spread: two evaluations of a model in evaluation mode are alike
GRADIENT_RATIO, SIGNAL_RATIO, DEAD_SHARE = 1e-3, 1e-3, 0.95

# A test returns a verdict where it fails, else None.
Test = Callable[[Measured, list[Evidence]], Verdict | None]


def step(history: History, stage: Stage) -> Answer:
    plan = history.check()
    check = history.result(plan)
    if check is None or not check.finished:
        return (plan,)
    if check.state is not TrialState.COMPLETED:
        text = f"the check could not run: {check.message or check.state}"
        verdict = Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=text, confidence=1.0)
        return ended(stage, StageState.FAILED, verdict, history.carry)
    state, verdict = judge(check)
    return ended(stage, state, verdict, history.carry)


def judge(check: Measured) -> tuple[StageState, Verdict]:
    """The verdict of a completed check: the first failed test, else the first warning, else ok."""
    evidence: list[Evidence] = []
    failed = [v for test in (_ratio, *FAILING) if (v := test(check, evidence)) is not None]
    warned = [v for test in WARNING if (v := test(check, evidence)) is not None]
    high = _ratio_warning(check)
    shown = tuple(evidence)
    if failed:
        # A bug explains a wrong ratio, not the other way round: name the bug first.
        causes = [*failed, *(v for v in warned if v.code is VerdictCode.INPUT_SCALE)]
        first = next((v for v in causes if v.code is not VerdictCode.BAD_INIT), failed[0])
        others = tuple(dict.fromkeys(v.code for v in [*failed, *warned] if v.code != first.code))
        return StageState.FAILED, first.model_copy(update={"evidence": shown, "alternatives": others})
    for verdict in [*warned, *([high] if high else [])]:
        return StageState.WARNED, verdict.model_copy(update={"evidence": shown})
    return StageState.PASSED, Verdict(
        code=VerdictCode.OK, text=_headline(check), confidence=0.95, evidence=shown
    )


def failures(check: Measured) -> list[Verdict]:
    """Every test that fails or warns, bugs before what they may explain."""
    return [v for test in (*FAILING, *WARNING, _ratio) if (v := test(check, [])) is not None]


def evidence(check: Measured) -> tuple[Evidence, ...]:
    """Every number of the check beside its threshold."""
    found: list[Evidence] = []
    for test in (_ratio, *FAILING, *WARNING):
        test(check, found)
    return tuple(found)


def ratio(check: Measured) -> float:
    """Median initial loss of five initializations over the expected loss."""
    losses = [loss for loss in check.measurement_list("initial_losses") if not math.isnan(loss)]
    expected = check.measurement("expected_loss")
    return statistics.median(losses) / expected if losses and expected > 0 else math.nan


def _headline(check: Measured) -> str:
    loss = statistics.median(check.measurement_list("initial_losses"))
    return f"initial loss {loss:.3g}, expected {_expectation(check)} (ratio {ratio(check):.2f})"


def _expectation(check: Measured) -> str:
    expected, classes = check.measurement("expected_loss"), check.measurement("classes")
    if classes > 1 and math.isclose(expected, math.log(classes), rel_tol=1e-3):
        return f"ln {classes:.0f} = {expected:.3f}"
    return f"{expected:.3g}"


def _note(
    evidence: list[Evidence], name: str, value: float, threshold: str, ok: bool, text: str = ""
) -> bool:
    """Record one number; True where the test passes. A number that can't be had is no evidence."""
    known = not math.isnan(value)
    evidence.append(
        Evidence(name=name, value=value, threshold=threshold, ok=ok if known else None, text=text)
    )
    return ok or not known


def _failure(code: VerdictCode, text: str, remedy: str, confidence: float = 0.95) -> Verdict:
    return Verdict(code=code, text=text, confidence=confidence, remedy=Remedy(text=remedy))


def _ratio(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    value = ratio(check)
    loss = statistics.median(check.measurement_list("initial_losses") or [math.nan])
    expected = check.measurement("expected_loss")
    entropy = check.measurement("label_entropy")
    # An output bias set to the class prior is correct and starts at H(y) instead of L*.
    floor = RATIO_LOW * (min(expected, entropy) if not math.isnan(entropy) else expected) / expected
    evidence.append(Evidence(name="initial loss", value=loss, text="median of 5 initializations"))
    evidence.append(Evidence(name="expected loss", value=expected, text=_expectation(check)))
    _note(
        evidence,
        "ratio",
        value,
        f"{floor:.2g} to {RATIO_PASS} (warn to {RATIO_FAIL})",
        floor <= value <= RATIO_FAIL,
    )
    if not math.isfinite(loss):
        return _failure(
            VerdictCode.LOSS_BUG,
            "the initial loss is not finite",
            "look for a division by zero or log of zero in the loss or model",
        )
    if value > RATIO_FAIL and not _bounded_targets(check):
        scale = 0.1 if value > 3 else 0.3
        return _failure(
            VerdictCode.BAD_INIT,
            f"{_headline(check)}: the outputs are too large (standard deviation {check.measurement('output_std'):.2g})",
            f"multiply the last layer's initial weights by {scale} (output_scale: {scale})",
        )
    if value < floor:
        return _failure(
            VerdictCode.LOSS_BUG,
            f"{_headline(check)}: lower than knowing nothing allows",
            "look for labels that leak into the inputs, or a loss that is scaled down",
        )
    return None


def _bounded_targets(check: Measured) -> bool:
    """A classification by squared or absolute error: zero outputs are nearly right on one-hot targets, so
    ordinary outputs cost several times as much. The ratio then warns and does not fail."""
    return check.measurement("expected_loss") < 0.5 * check.measurement("label_entropy")


def _ratio_warning(check: Measured) -> Verdict | None:
    if ratio(check) <= RATIO_PASS or math.isnan(ratio(check)):
        return None
    return _failure(
        VerdictCode.BAD_INIT,
        f"{_headline(check)}: higher than usual",
        "a smaller last layer at the start often trains better (output_scale: 0.3)",
        confidence=0.5,
    )


def _inputs_finite(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    count = check.measurement("nonfinite_inputs", 0.0)
    if _note(evidence, "non-finite inputs", count, "= 0", count == 0):
        return None
    return _failure(
        VerdictCode.INPUT_SCALE, f"{count:.0f} input values are NaN or infinite", "clean the data"
    )


def _duplicate(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    value = check.measurement("duplicate_ratio")
    if _note(
        evidence, "loss of a doubled batch", value, "within 10 % of 1", abs(value - 1) <= DUPLICATE_TOLERANCE
    ):
        return None
    return _failure(
        VerdictCode.LOSS_BUG,
        f"the loss grows {value:.2g} times when the batch is doubled: it is summed over the batch",
        "average the loss over the batch (reduction='mean')",
    )


def _perfect_is_best(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    """Meeting every target must cost less than knowing nothing; classes can't cost less than nothing."""
    floor, expected = check.measurement("floor_loss"), check.measurement("expected_loss")
    classes = not math.isnan(check.measurement("label_entropy"))
    ok = floor < expected and not (classes and (expected <= 0 or floor < -expected))
    gain = expected - floor
    if _note(evidence, "what perfect outputs save", gain, "> 0", ok or math.isnan(gain)):
        return None
    return _failure(
        VerdictCode.LOSS_BUG,
        f"perfect outputs cost {floor:.3g} and outputs that know nothing {expected:.3g}",
        "look for a flipped sign in the loss, or outputs in another form than it expects "
        "(logits where it wants log-probabilities)",
    )


def _floor(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("floor_loss") / check.measurement("expected_loss")
    if _note(evidence, "loss of perfect outputs / expected", share, f"< {FLOOR_SHARE}", share < FLOOR_SHARE):
        return None
    return _failure(
        VerdictCode.LOSS_BUG,
        f"even perfect outputs cost {share:.0%} of the expected loss",
        "look for a softmax applied twice, or targets in another form than the loss expects",
    )


def _descent(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    if check.measurement("zero_weight_fraction", 0.0) > 0 or check.measurement("dead_fraction") > DEAD_SHARE:
        return None  # silent units pass no gradient: that is their own test
    value = check.measurement("descent")
    if _note(
        evidence, "descent along the gradient", value, "> 0", value > 0, "of what the gradient promises"
    ):
        return None
    return _failure(
        VerdictCode.LOSS_BUG,
        "a small step against the gradient does not lower that batch's loss",
        "look for a flipped sign in the loss, or outputs cut off from the graph",
    )


def _validation_like_training(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    shift, spread = check.measurement("val_mean_shift"), check.measurement("val_std_ratio")
    mean_ok = _note(evidence, "validation mean shift", shift, f"< {VAL_SHIFT} SD", shift < VAL_SHIFT)
    std_ok = _note(
        evidence,
        "validation / training SD",
        spread,
        f"within x{VAL_STD_RATIO:g}",
        1 / VAL_STD_RATIO < spread < VAL_STD_RATIO,
    )
    if mean_ok and std_ok:
        return None
    return _failure(
        VerdictCode.VAL_MISMATCH,
        f"validation inputs differ from training inputs (mean shifted by {shift:.2g} SD, SD x{spread:.2g})",
        "apply the training set's preprocessing to the validation set",
    )


def _some_weights(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("zero_weight_fraction")
    if _note(evidence, "all-zero weight tensors", share, "= 0", share == 0):
        return None
    return _failure(
        VerdictCode.BAD_INIT,
        f"{share:.0%} of the weight tensors start at zero",
        "initialize the weights at random (initialization: kaiming)",
    )


def _alive(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("dead_fraction")
    if _note(evidence, "units dead on all samples", share, f"<= {DEAD_SHARE}", share <= DEAD_SHARE):
        return None
    return _failure(
        VerdictCode.DEAD,
        f"{share:.0%} of a layer's units are silent on every sample",
        "start biases at zero, or use leaky_relu",
    )


def _labels_follow_inputs(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    """Neighbours agree on their label in the validation data and not in the training data."""
    train, validation = check.measurement("train_signal"), check.measurement("val_signal")
    limit = LABEL_SHARE * validation
    judged = validation > LABEL_SIGNAL
    ok = not judged or train >= limit
    if _note(
        evidence, "neighbours' agreement on training labels", train, f">= {limit:.2g}" if judged else "", ok
    ):
        return None
    return _failure(
        VerdictCode.LABELS,
        f"similar training samples agree on their labels less ({train:.2f}) than validation samples do "
        f"({validation:.2f})",
        "look at the training labels: shuffled, shifted against the inputs, or partly wrong",
        confidence=0.9 if train < LABEL_SHARE / 2 * validation else 0.7,
    )


def _labels_mean_the_same(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    """Training neighbours predict validation labels about as well as either split's own neighbours do."""
    across = check.measurement("cross_signal")
    within = min(check.measurement("train_signal"), check.measurement("val_signal"))
    judged = within > LABEL_SIGNAL
    limit = CROSS_SHARE * within
    ok = not judged or across >= limit
    if _note(
        evidence,
        "training neighbours' vote on validation labels",
        across,
        f">= {limit:.2g}" if judged else "",
        ok,
    ):
        return None
    said = f"training neighbours do not tell validation labels ({across:.2f}), though each split's own do ({within:.2f})"
    if check.measurement("cross_distance") > CROSS_DISTANCE:
        return _failure(
            VerdictCode.VAL_MISMATCH,
            f"{said}, and lie far away",
            "prepare validation inputs as training inputs are prepared",
            confidence=0.8,
        )
    return _failure(VerdictCode.LABELS, said, "number the classes alike in both splits")


def _evaluates(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    jitter, dependence = check.measurement("evaluation_jitter"), check.measurement("batch_dependence")
    same = _note(
        evidence, "difference of two evaluations", jitter, f"<= {EVALUATION:g}", jitter <= EVALUATION
    )
    alone = _note(
        evidence,
        "change when evaluated in half batches",
        dependence,
        f"<= {EVALUATION:g}",
        dependence <= EVALUATION,
    )
    if same and alone:
        return None
    return _failure(
        VerdictCode.NOISY_EVAL,
        "the model evaluates in training mode: "
        + ("two evaluations differ" if not same else "a sample's output depends on its batch"),
        "let dropout and batch norm obey model.eval()",
        confidence=0.9,
    )


def _signal(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    gradient, signal = check.measurement("gradient_ratio"), check.measurement("signal_ratio")
    gradient_ok = _note(
        evidence, "first / last layer gradient", gradient, f">= {GRADIENT_RATIO}", gradient >= GRADIENT_RATIO
    )
    signal_ok = _note(
        evidence, "last hidden signal / input", signal, f">= {SIGNAL_RATIO}", signal >= SIGNAL_RATIO
    )
    if gradient_ok and signal_ok:
        return None
    return _failure(
        VerdictCode.VANISHING,
        f"signal fades through the layers (gradient ratio {gradient:.1e}, signal {signal:.1e})",
        "use relu with kaiming initialization, fewer layers or normalization",
        confidence=0.7,
    )


def badly_scaled(check: Measured) -> Verdict | None:
    """INPUT_SCALE where the inputs' scale fails its test."""
    return _input_scale(check, [])


def _input_scale(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    mean, spread = check.measurement("input_abs_mean"), check.measurement("feature_std_ratio")
    mean_ok = _note(evidence, "mean |input|", mean, f"<= {INPUT_MEAN:g}", mean <= INPUT_MEAN)
    spread_ok = _note(
        evidence,
        "largest / smallest feature SD",
        spread,
        f"<= {INPUT_STD_RATIO:g}",
        spread <= INPUT_STD_RATIO,
    )
    if mean_ok and spread_ok:
        return None
    return _failure(
        VerdictCode.INPUT_SCALE,
        f"inputs are badly scaled (mean |x| {mean:.3g}, feature SDs differ x{spread:.3g})",
        "standardize the inputs (preprocessing: standardized)",
        confidence=0.8,
    )


FAILING: tuple[Test, ...] = (
    _inputs_finite,
    _duplicate,
    _perfect_is_best,
    _floor,
    _descent,
    _validation_like_training,
    _some_weights,
    _alive,
)
WARNING: tuple[Test, ...] = (_labels_follow_inputs, _labels_mean_the_same, _evaluates, _signal, _input_scale)
