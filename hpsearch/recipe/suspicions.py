"""What may be wrong with a run, the most specific first, and the change that would prove it.

A suspicion is raised by passive evidence and proved by a probe: recipe.md §3 step 6. The order matters where
several changes help: a wrong scale of the inputs is also softened by a lower rate, and not the other way round.
"""

import math
from collections.abc import Iterator

from hpsearch.recipe.case import Case
from hpsearch.recipe.data_tests import badly_scaled
from hpsearch.recipe.history import NO_REGULARIZATION
from hpsearch.recipe.loss_tests import RATIO_FAIL, RATIO_PASS, forgotten
from hpsearch.recipe.loss_tests import ratio as initial_ratio
from hpsearch.recipe.model_tests import DEAD_SHARE
from hpsearch.recipe.suspicion import QUARTER, Raise, Suspicion, probe_length
from hpsearch.recipe.usual_suspicions import usual
from hpsearch.space import Params
from hpsearch.vocabulary import HYPERPARAMETERS, VerdictCode

HEAVY_DECAY, HEAVY_DROPOUT, HEAVY_SMOOTHING = 1e-3, 0.3, 0.2
FAR_LEARNED = 0.9  # of the loss at chance
SCALE_LOW, SCALE_HIGH = 0.15, 4.0  # of weights times sqrt(fan-in): torch 0.58, kaiming 1 to 1.4
CERTAIN_RATIO, CERTAIN = 3.0, 3.0  # of initial losses; times beyond the usual weights
FLAT_FRACTION, FLAT_STEPS = 0.10, 20
BEYOND_CUT, LONGEST = 0.4, 0.6  # of the run: how far past the cut a constant rate is followed, and at most
LATE_CUT = 0.7  # of the probe
TINY = 0.02  # mean size of inputs, spread of targets
JITTER = 1.0  # of the outputs' spread: a third of the last hidden units dropped
FAR_TARGETS, WIDE_TARGETS = 3.0, 5.0
ORDERED = 0.3
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")  # divide by the gradient's size
BESIDE_GRADIENT = ("weight_decay", "l1", "clip_norm")
FADING = 1e-2  # gradient or signal that arrives, below which vanishing is suspected
STANDARD_INIT: Params = {"initialization": "kaiming", "output_scale": 1.0}
DEFAULT_INIT: Params = {
    "initialization": "reset",
    "output_scale": 1.0,
}  # whatever the model's code drew instead


def suspicions(case: Case) -> Iterator[Suspicion]:
    """Everything that this run's numbers speak for, in the order in which causes explain each other."""
    for raise_ in (*SPECIFIC, *usual(case)):
        found = raise_(case)
        if found is not None:
            yield found


def _input_scale(case: Case) -> Suspicion | None:
    verdict, size = badly_scaled(case.check), case.check.measurement("input_abs_mean")
    if case.values["preprocessing"] == "standardized" or not (verdict or size < TINY):
        return None
    why = verdict.text if verdict else f"inputs are tiny (mean |x| {size:.2g})"
    return Suspicion(VerdictCode.INPUT_SCALE, why, ({"preprocessing": "standardized"},), strong=True)


def _target_scale(case: Case) -> Suspicion | None:
    """A regression whose targets lie far from zero beside their spread, or spread far from 1: most of the
    training goes into finding their mean and their size.
    """
    expected, constant = case.facts.expected_loss, case.facts.constant_loss
    spread = case.check.measurement("target_std")
    if math.isnan(spread) or case.values["target_scaling"] == "standardized":
        return None
    if spread > WIDE_TARGETS or 0 < spread < TINY:
        why = f"the targets' standard deviation is {spread:.3g}"
    elif constant > 0 and expected > FAR_TARGETS * constant:
        why = f"zero outputs cost {expected:.3g}, the targets' mean only {constant:.3g}: the targets are far from zero"
    else:
        return None
    advice = "standardize the targets (target_scaling: standardized)"
    change: Params = {"target_scaling": "standardized"}
    return Suspicion(VerdictCode.INPUT_SCALE, why, (change,), strong=True, advice=advice)


def _loss_factor(case: Case) -> Suspicion | None:
    """A loss that is a common one times a constant; optimizers that divide by the gradient's size don't see it."""
    factor, rate = case.check.measurement("loss_factor"), case.number("learning_rate")
    if case.values["optimizer"] in ADAPTIVE or not forgotten(factor):
        return None
    why = f"the loss is {factor:.3g} times an ordinary one, and so are its gradients"
    advice = f"take the factor {factor:.3g} out of the loss; these values undo it as well"
    # What is added to the gradient, or held against it, was meant for the gradient without the factor.
    beside = {name: factor * size for name in BESIDE_GRADIENT if (size := case.number(name)) > 0}
    most = HYPERPARAMETERS["learning_rate"].axis.high or math.inf
    change: Params = {"learning_rate": min(rate / factor, most), **beside}
    return Suspicion(VerdictCode.LOSS_BUG, why, (change,), strong=True, advice=advice)


def _initialization(case: Case) -> Suspicion | None:
    """Dead units, fading signals, or weights that no usual initialization draws."""
    check = case.check
    low, high = check.measurement("weight_scale_min"), check.measurement("weight_scale_max")
    gradient, signal = check.measurement("gradient_ratio"), check.measurement("signal_ratio")
    zero, dead = check.measurement("zero_weight_fraction", 0.0), check.measurement("dead_fraction")
    code, ratio = VerdictCode.BAD_INIT, initial_ratio(check)
    if zero > 0:
        why = f"{zero:.0%} of the weight tensors start at zero"
    elif dead > DEAD_SHARE:
        code, why = VerdictCode.DEAD, f"{dead:.0%} of a layer's units are silent at the start"
    elif gradient < FADING or signal < FADING:
        code = VerdictCode.VANISHING
        why = f"first / last layer's gradient {gradient:.1e}, last hidden signal / input {signal:.1e}"
    elif ratio > RATIO_FAIL:
        why = f"the initial loss is {ratio:.2g} times what is expected"
    elif high > SCALE_HIGH or low < SCALE_LOW:
        why = f"weights times sqrt(fan-in) are between {low:.2g} and {high:.2g}; 0.6 to 1.4 is usual"
    else:
        return None
    # A signal that fades through layers drawn as usual needs the gain that kaiming gives them.
    usual = low >= SCALE_LOW and high <= SCALE_HIGH and zero == 0
    change = STANDARD_INIT if code is VerdictCode.VANISHING and usual else DEFAULT_INIT
    certain = (
        zero > 0
        or dead > DEAD_SHARE
        or ratio > CERTAIN_RATIO
        or not SCALE_LOW / CERTAIN <= low <= high <= SCALE_HIGH * CERTAIN
    )
    return Suspicion(code, why, (change,), share=_start_share(case), strong=True, certain=certain)


def _slow_start(case: Case) -> Suspicion | None:
    """An initial loss or a late first fall that a healthy initialization may have too."""
    if _initialization(case) is not None:
        return None
    ratio = initial_ratio(case.check)
    if ratio > RATIO_PASS:
        why = f"the initial loss is {ratio:.2g} times what is expected"
    elif _late_start(case):
        why = f"the loss stood still for the first {case.feature('flat_steps'):.0f} steps"
    else:
        return None
    return Suspicion(VerdictCode.BAD_INIT, why, (STANDARD_INIT,), share=_start_share(case))


def _start_share(case: Case) -> float:
    """Of the run's length: what a start cost a run that got far shows only late."""
    return 0.8 if case.end.train_skill > FAR_LEARNED else 0.4 if case.learned else QUARTER


def _late_start(case: Case) -> bool:
    """The loss stood still and then fell fast: not a low rate, which is slow all the time."""
    flat, steps = case.feature("flat_fraction"), case.feature("flat_steps")
    stood = flat > FLAT_FRACTION and steps > FLAT_STEPS and case.number("warmup_epochs") == 0
    stood = stood and not case.short
    constant = case.values["schedule"] == "constant"
    return stood and constant and case.learned and not case.still_falling


def _over_regularized(case: Case) -> Suspicion | None:
    """A penalty, dropout or smoothing that is heavy, while the training data are not fit."""
    if case.fitted:
        return None
    named = {
        "weight_decay": HEAVY_DECAY, "l1": HEAVY_DECAY, "dropout": HEAVY_DROPOUT, "dropconnect": HEAVY_DROPOUT,
        "label_smoothing": HEAVY_SMOOTHING,
    }  # fmt: skip
    heavy = [name for name, limit in named.items() if case.number(name) > limit]
    built_in, jitter = case.check.measurement("model_dropout"), case.check.measurement("training_jitter")
    if built_in > HEAVY_DROPOUT:
        heavy.append(f"the model's own dropout {built_in:g}")
    elif jitter > JITTER:
        heavy.append(f"noise of {jitter:.2g} times the outputs' spread in training")
    if not heavy:
        return None
    changes = {**NO_REGULARIZATION, "model_dropout": False}
    off = {name: value for name, value in changes.items() if case.values.get(name) != value}
    return Suspicion(VerdictCode.OVER_REGULARIZED, f"heavy {', '.join(heavy)}", (off,))


def _decay_too_early(case: Case) -> Suspicion | None:
    """A schedule that has cut the rate while the training data were not fit."""
    schedule = case.values["schedule"]
    if case.fitted or schedule == "constant":
        return None
    cut = _cut_epoch(case)
    if cut >= 0.5 * case.epochs:
        return None
    share = min(max(QUARTER, cut / case.epochs + BEYOND_CUT), LONGEST)
    # A run that ends on a high rate swings, one that was cut does not: a cut is held against a later cut.
    later: Params = {"step_epochs": LATE_CUT * probe_length(case, share)}
    return Suspicion(
        VerdictCode.DECAY_TOO_EARLY,
        f"the learning rate was cut at epoch {cut:.3g} of {case.epochs:g}",
        (later if schedule == "step" else {"schedule": "constant"},),
        share=share,
    )


def _cut_epoch(case: Case) -> float:
    """When the schedule has fallen to a third: at the cut of `step`, at 2/3 of a cosine or line."""
    length = case.number("schedule_epochs") or case.epochs
    match case.values["schedule"]:
        case "step":
            return case.number("step_epochs") or length / 2
        case "inverse_sqrt":
            return 9 * max(case.number("warmup_epochs"), 1.0)
        case _:
            return length * 2 / 3


def _unshuffled(case: Case) -> Suspicion | None:
    order = case.check.measurement("label_order")
    if case.values["shuffle"] or not order > ORDERED:
        return None
    why = f"the data are not shuffled and come in order of their targets (correlation {order:.2f})"
    return Suspicion(VerdictCode.NOISY_EVAL, why, ({"shuffle": True},))


def regularizers(case: Case) -> tuple[Params, ...]:
    """Changes that work against overfitting, whatever the model: decay that shrinks the weights by a factor
    e**2 over the run if the loss does not hold them, and softer labels for classes.
    """
    rate = case.number("learning_rate") / max(1 - case.number("momentum"), 1e-3)
    adaptive = case.values["optimizer"] in ADAPTIVE
    steps = max(1.0, case.epochs * case.facts.steps_per_epoch)
    pull = 2 / ((case.number("learning_rate") if adaptive else rate) * steps)
    decay: Params = {"weight_decay": min(max(pull, case.number("weight_decay") * 3), 10.0)}
    if case.values["optimizer"] == "adam":
        decay["optimizer"] = "adamw"
    tries = [decay]
    if case.facts.classes > 1 and case.number("label_smoothing") == 0:
        tries.append({"label_smoothing": 0.1})
    return tuple(tries)


SPECIFIC: tuple[Raise, ...] = (
    _input_scale,
    _target_scale,
    _loss_factor,
    _initialization,
    _unshuffled,
    _over_regularized,
    _slow_start,
    _decay_too_early,
)
