"""Step 1's tests of the model: weights, living units, a signal that arrives, an evaluation mode."""

from hpsearch.recipe.checklist import failed, noted
from hpsearch.records import Evidence, Measured, Verdict
from hpsearch.vocabulary import VerdictCode

EVALUATION = 0.02  # of the outputs' spread: two evaluations of a model in evaluation mode are alike
GRADIENT_RATIO, SIGNAL_RATIO, DEAD_SHARE = 1e-3, 1e-3, 0.95


def some_weights(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("zero_weight_fraction")
    if noted(evidence, "all-zero weight tensors", share, "= 0", share == 0):
        return None
    return failed(
        VerdictCode.BAD_INIT,
        f"{share:.0%} of the weight tensors start at zero",
        "initialize the weights at random (initialization: kaiming)",
    )


def alive(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    share = check.measurement("dead_fraction")
    if noted(evidence, "units dead on all samples", share, f"<= {DEAD_SHARE}", share <= DEAD_SHARE):
        return None
    return failed(
        VerdictCode.DEAD,
        f"{share:.0%} of a layer's units are silent on every sample",
        "start biases at zero, or use leaky_relu",
    )


def evaluates(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    jitter, dependence = check.measurement("evaluation_jitter"), check.measurement("batch_dependence")
    same = noted(
        evidence, "difference of two evaluations", jitter, f"<= {EVALUATION:g}", jitter <= EVALUATION
    )
    alone = noted(
        evidence,
        "change when evaluated in half batches",
        dependence,
        f"<= {EVALUATION:g}",
        dependence <= EVALUATION,
    )
    if same and alone:
        return None
    return failed(
        VerdictCode.NOISY_EVAL,
        "the model evaluates in training mode: "
        + ("two evaluations differ" if not same else "a sample's output depends on its batch"),
        "let dropout and batch norm obey model.eval()",
        confidence=0.9,
    )


def signal_arrives(check: Measured, evidence: list[Evidence]) -> Verdict | None:
    gradient, signal = check.measurement("gradient_ratio"), check.measurement("signal_ratio")
    gradient_ok = noted(
        evidence, "first / last layer gradient", gradient, f">= {GRADIENT_RATIO}", gradient >= GRADIENT_RATIO
    )
    signal_ok = noted(
        evidence, "last hidden signal / input", signal, f">= {SIGNAL_RATIO}", signal >= SIGNAL_RATIO
    )
    if gradient_ok and signal_ok:
        return None
    return failed(
        VerdictCode.VANISHING,
        f"signal fades through the layers (gradient ratio {gradient:.1e}, signal {signal:.1e})",
        "use relu with kaiming initialization, fewer layers or normalization",
        confidence=0.7,
    )
