"""Step 1's tests of the data: finite, well scaled, labels that follow inputs, validation like training."""

import math

from hpsearch.recipe.checklist import failed, noted
from hpsearch.records import Evidence, Measured, Verdict
from hpsearch.vocabulary import VerdictCode

INPUT_MEAN, INPUT_STD_RATIO = 10.0, 100.0
VAL_SHIFT = 0.5  # in standard deviations of the training inputs
# A factor either way. Between two splits of the same data, with 40 samples in one, 1.09 is the most that was seen.
VAL_STD_RATIO = 1.5
LABEL_SIGNAL, LABEL_SHARE = 0.25, 0.7  # validation labels that follow the inputs; training labels that don't
NEARLY_1 = 1 - 1e-9
SURE = 3.0  # standard errors
CROSS_SHARE, CROSS_DISTANCE = 0.5, 1.15


def inputs_finite(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    count = check.measurement("nonfinite_inputs", 0.0)
    if noted(evidence, "non-finite inputs", count, "= 0", count == 0):
        return None
    return failed(VerdictCode.INPUT_SCALE, f"{count:.0f} input values are NaN or infinite", "clean the data")


def validation_like_training(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    shift, spread = check.measurement("val_mean_shift"), check.measurement("val_std_ratio")
    mean_ok = noted(evidence, "validation mean shift", shift, f"< {VAL_SHIFT} SD", shift < VAL_SHIFT)
    std_ok = noted(
        evidence,
        "validation / training SD",
        spread,
        f"within x{VAL_STD_RATIO:g}",
        1 / VAL_STD_RATIO < spread < VAL_STD_RATIO,
    )
    if mean_ok and std_ok:
        return None
    return failed(
        VerdictCode.VAL_MISMATCH,
        f"validation inputs differ from training inputs (mean shifted by {shift:.2g} SD, SD x{spread:.2g})",
        "apply the training set's preprocessing to the validation set",
    )


def labels_follow_inputs(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    """Neighbours agree on their label in the validation data and not in the training data, by more than so
    many samples leave to chance.
    """
    train, validation = check.measurement("train_signal"), check.measurement("val_signal")
    size = check.measurement("signal_size", math.inf)
    limit = LABEL_SHARE * validation
    judged = validation > LABEL_SIGNAL and _differ(train, validation, size)
    ok = not judged or train >= limit
    if noted(
        evidence, "neighbours' agreement on training labels", train, f">= {limit:.2g}" if judged else "", ok
    ):
        return None
    return failed(
        VerdictCode.LABELS,
        f"similar training samples agree on their labels less ({train:.2f}) than validation samples do "
        f"({validation:.2f})",
        "look at the training labels: shuffled, shifted against the inputs, or partly wrong",
        confidence=0.9 if train < LABEL_SHARE / 2 * validation else 0.7,
    )


def _differ(train: float, validation: float, size: float) -> bool:
    """Fisher's z: an atanh of a correlation has the standard error 1 / sqrt(n - 3)."""
    low, high = (math.atanh(min(max(value, -NEARLY_1), NEARLY_1)) for value in (train, validation))
    return high - low > SURE * math.sqrt(2 / max(size - 3, 1))


def labels_mean_the_same(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    """Training neighbours predict validation labels about as well as either split's own neighbours do."""
    across = check.measurement("cross_signal")
    within = min(check.measurement("train_signal"), check.measurement("val_signal"))
    judged = within > LABEL_SIGNAL
    limit = CROSS_SHARE * within
    ok = not judged or across >= limit
    if noted(
        evidence,
        "training neighbours' vote on validation labels",
        across,
        f">= {limit:.2g}" if judged else "",
        ok,
    ):
        return None
    said = f"training neighbours do not tell validation labels ({across:.2f}), though each split's own do ({within:.2f})"
    if check.measurement("cross_distance") > CROSS_DISTANCE:
        return failed(
            VerdictCode.VAL_MISMATCH,
            f"{said}, and lie far away",
            "prepare validation inputs as training inputs are prepared",
            confidence=0.8,
        )
    return failed(VerdictCode.LABELS, said, "number the classes alike in both splits")


def badly_scaled(check: Measured) -> Verdict | None:
    """INPUT_SCALE where the inputs' scale fails its test."""
    return input_scale(check, [])


def input_scale(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    mean, spread = check.measurement("input_abs_mean"), check.measurement("feature_std_ratio")
    mean_ok = noted(evidence, "mean |input|", mean, f"<= {INPUT_MEAN:g}", mean <= INPUT_MEAN)
    spread_ok = noted(
        evidence,
        "largest / smallest feature SD",
        spread,
        f"<= {INPUT_STD_RATIO:g}",
        spread <= INPUT_STD_RATIO,
    )
    if mean_ok and spread_ok:
        return None
    return failed(
        VerdictCode.INPUT_SCALE,
        f"inputs are badly scaled (mean |x| {mean:.3g}, feature SDs differ x{spread:.3g})",
        "standardize the inputs (preprocessing: standardized)",
        confidence=0.8,
    )
