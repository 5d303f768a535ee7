"""Step 1's tests of the loss: its size at the start, over the batch, at perfect outputs, along its gradient."""

import math
import statistics

from hpsearch.recipe.checklist import Test, failed, noted
from hpsearch.recipe.model_tests import DEAD_SHARE
from hpsearch.records import Evidence, Measured, Verdict
from hpsearch.vocabulary import VerdictCode

RATIO_LOW, RATIO_PASS, RATIO_FAIL = 0.9, 1.5, 2.0
FLOOR_SHARE = 0.05  # the loss of perfect outputs, as a share of the expected loss
FORGOTTEN = 30.0  # times: half a loss, or one summed over a few outputs, is somebody's choice
DUPLICATE_TOLERANCE = 0.1  # a mean over the batch does not change when each sample stands twice


def ratio(check: Measured) -> float:
    """Median initial loss of five initializations over the expected loss."""
    losses = [loss for loss in check.measurement_list("initial_losses") if not math.isnan(loss)]
    expected = check.measurement("expected_loss")
    return statistics.median(losses) / expected if losses and expected > 0 else math.nan


def forgotten(factor: float) -> bool:
    """Whether a constant on a common loss is larger or smaller than anybody chooses."""
    return factor > FORGOTTEN or 0 < factor < 1 / FORGOTTEN


def headline(check: Measured) -> str:
    loss = statistics.median(check.measurement_list("initial_losses"))
    return f"initial loss {loss:.3g}, expected {expectation(check)} (ratio {ratio(check):.2f})"


def expectation(check: Measured) -> str:
    expected, classes = check.measurement("expected_loss"), check.measurement("classes")
    if classes > 1 and math.isclose(expected, math.log(classes), rel_tol=1e-3):
        return f"ln {classes:.0f} = {expected:.3f}"
    return f"{expected:.3g}"


def ratio_test(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    value = ratio(check)
    loss = statistics.median(check.measurement_list("initial_losses") or [math.nan])
    expected = check.measurement("expected_loss")
    entropy = check.measurement("label_entropy")
    # An output bias set to the class prior is correct and starts at H(y) instead of L*.
    floor = RATIO_LOW * (min(expected, entropy) if not math.isnan(entropy) else expected) / expected
    evidence.append(Evidence(name="initial loss", value=loss, text="median of 5 initializations"))
    evidence.append(Evidence(name="expected loss", value=expected, text=expectation(check)))
    factor = check.measurement("loss_factor")
    if not math.isnan(factor) and factor != 1:
        noted(
            evidence, "loss / an ordinary loss", factor, f"within x{FORGOTTEN:g} of 1", not forgotten(factor)
        )
    noted(
        evidence,
        "ratio",
        value,
        f"{floor:.2g} to {RATIO_PASS} (warn to {RATIO_FAIL})",
        floor <= value <= RATIO_FAIL,
    )
    if not math.isfinite(loss):
        return failed(
            VerdictCode.LOSS_BUG,
            "the initial loss is not finite",
            "look for a division by zero or log of zero in the loss or model",
        )
    if value > RATIO_FAIL and not _bounded_targets(check):
        scale = 0.1 if value > 3 else 0.3
        return failed(
            VerdictCode.BAD_INIT,
            f"{headline(check)}: the outputs are too large (standard deviation {check.measurement('output_std'):.2g})",
            f"multiply the last layer's initial weights by {scale} (output_scale: {scale})",
        )
    if value < floor:
        return failed(
            VerdictCode.LOSS_BUG,
            f"{headline(check)}: lower than knowing nothing allows",
            "look for labels that leak into the inputs, or a loss that is scaled down",
        )
    return None


def _bounded_targets(check: Measured) -> bool:
    """A classification by squared or absolute error: zero outputs are nearly right on one-hot targets, so
    ordinary outputs cost several times as much. The ratio then warns and does not fail."""
    return check.measurement("expected_loss") < 0.5 * check.measurement("label_entropy")


def ratio_warning(check: Measured) -> Verdict | None:
    if ratio(check) <= RATIO_PASS or math.isnan(ratio(check)):
        return None
    return failed(
        VerdictCode.BAD_INIT,
        f"{headline(check)}: higher than usual",
        "a smaller last layer at the start often trains better (output_scale: 0.3)",
        confidence=0.5,
    )


def _duplicate(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    value = check.measurement("duplicate_ratio")
    if noted(
        evidence, "loss of a doubled batch", value, "within 10 % of 1", abs(value - 1) <= DUPLICATE_TOLERANCE
    ):
        return None
    return failed(
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
    if noted(evidence, "what perfect outputs save", gain, "> 0", ok or math.isnan(gain)):
        return None
    return failed(
        VerdictCode.LOSS_BUG,
        f"perfect outputs cost {floor:.3g} and outputs that know nothing {expected:.3g}",
        "look for a flipped sign in the loss, or outputs in another form than it expects "
        "(logits where it wants log-probabilities)",
    )


def _floor(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("floor_loss") / check.measurement("expected_loss")
    if noted(evidence, "loss of perfect outputs / expected", share, f"< {FLOOR_SHARE}", share < FLOOR_SHARE):
        return None
    return failed(
        VerdictCode.LOSS_BUG,
        f"even perfect outputs cost {share:.0%} of the expected loss",
        "look for a softmax applied twice, or targets in another form than the loss expects",
    )


def _descent(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    if check.measurement("zero_weight_fraction", 0.0) > 0 or check.measurement("dead_fraction") > DEAD_SHARE:
        return None  # silent units pass no gradient: that is their own test
    value = check.measurement("descent")
    if noted(
        evidence, "descent along the gradient", value, "> 0", value > 0, "of what the gradient promises"
    ):
        return None
    return failed(
        VerdictCode.LOSS_BUG,
        "a small step against the gradient does not lower that batch's loss",
        "look for a flipped sign in the loss, or outputs cut off from the graph",
    )


LOSS_TESTS: tuple[Test, ...] = (_duplicate, _perfect_is_best, _floor, _descent)
