"""What may be wrong with a run, the most specific first, and the change that would prove it.

A suspicion is raised by passive evidence and proved by a probe: recipe.md §3 step 6. The order matters where
several changes help: a wrong scale of the inputs is also softened by a lower rate, and not the other way round.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hpsearch.recipe import initial_loss
from hpsearch.recipe.case import Case
from hpsearch.recipe.history import NO_REGULARIZATION
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

QUARTER = 0.25  # of the run's length that most probes train for
HEAVY_DECAY, HEAVY_DROPOUT, HEAVY_SMOOTHING = 1e-3, 0.3, 0.2
SCALE_LOW, SCALE_HIGH = 0.15, 4.0  # of weights times sqrt(fan-in): torch 0.58, kaiming 1 to 1.4
FLAT_FRACTION, FLAT_STEPS = 0.10, 20
ORDERED = 0.3
FADING = 1e-2  # gradient or signal that arrives, below which vanishing is suspected
STANDARD_INIT: Params = {"initialization": "kaiming", "output_scale": 1.0}


@dataclass(frozen=True)
class Suspicion:
    """`tries`: changes, each enough to prove it, the likeliest first. `share`: of the run's length that one
    try trains for, or, where it `continues` the run, goes on for.
    """

    code: VerdictCode
    why: str
    tries: tuple[Params, ...]
    share: float = QUARTER
    continues: bool = False

    @property
    def refines(self) -> bool:
        """Whether neighbours of the change that helped are worth a look."""
        return self.code in (VerdictCode.LR_TOO_HIGH, VerdictCode.LR_TOO_LOW)


def suspicions(case: Case) -> Iterator[Suspicion]:
    """Everything that this run's numbers speak for, in the order in which causes explain each other."""
    for raise_ in RAISED:
        found = raise_(case)
        if found is not None:
            yield found


def _input_scale(case: Case) -> Suspicion | None:
    verdict = initial_loss.badly_scaled(case.check)
    if verdict is None or case.values["preprocessing"] == "standardized":
        return None
    return Suspicion(VerdictCode.INPUT_SCALE, verdict.text, ({"preprocessing": "standardized"},))


def _initialization(case: Case) -> Suspicion | None:
    """Dead units, fading signals, or weights that no usual initialization draws."""
    check = case.check
    low, high = check.measurement("weight_scale_min"), check.measurement("weight_scale_max")
    ratio = initial_loss.ratio(check)
    tries: list[Params] = [STANDARD_INIT]
    gradient, signal = check.measurement("gradient_ratio"), check.measurement("signal_ratio")
    if check.measurement("dead_fraction") > initial_loss.DEAD_SHARE:
        why = f"{check.measurement('dead_fraction'):.0%} of a layer's units are silent at the start"
        return Suspicion(VerdictCode.DEAD, why, tuple(tries))
    if gradient < FADING or signal < FADING:
        why = f"first / last layer's gradient {gradient:.1e}, last hidden signal / input {signal:.1e}"
        return Suspicion(VerdictCode.VANISHING, why, (*tries, {"initialization": "xavier"}))
    if ratio > initial_loss.RATIO_PASS:
        why = f"the initial loss is {ratio:.2g} times what is expected"
    elif high > SCALE_HIGH or low < SCALE_LOW:
        why = f"weights times sqrt(fan-in) are between {low:.2g} and {high:.2g}; 0.6 to 1.4 is usual"
    elif _late_start(case):
        why = f"the loss stood still for the first {case.feature('flat_steps'):.0f} steps"
    else:
        return None
    return Suspicion(VerdictCode.BAD_INIT, why, tuple(tries))


def _late_start(case: Case) -> bool:
    flat, steps = case.feature("flat_fraction"), case.feature("flat_steps")
    return flat > FLAT_FRACTION and steps > FLAT_STEPS and case.number("warmup_epochs") == 0


def _over_regularized(case: Case) -> Suspicion | None:
    """A penalty, dropout or smoothing that is heavy, while the training data are not fit."""
    if case.fitted:
        return None
    named = {
        "weight_decay": HEAVY_DECAY, "l1": HEAVY_DECAY, "dropout": HEAVY_DROPOUT, "dropconnect": HEAVY_DROPOUT,
        "label_smoothing": HEAVY_SMOOTHING,
    }  # fmt: skip
    heavy = [name for name, limit in named.items() if case.number(name) > limit]
    built_in = case.check.measurement("model_dropout", 0.0)
    if built_in > HEAVY_DROPOUT:
        heavy.append(f"the model's own dropout {built_in:g}")
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
    return Suspicion(
        VerdictCode.DECAY_TOO_EARLY,
        f"the learning rate was cut at epoch {cut:.3g} of {case.epochs:g}",
        ({"schedule": "constant"},),
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


def _rate_too_high(case: Case) -> Suspicion | None:
    spike = case.feature("loss_spike")
    rough = spike > 1.5 or case.feature("noise") > 0.3
    if not (case.run.diverged or not case.learned or (rough and not case.fitted)):
        return None
    why = "the run diverged" if case.run.diverged else f"the loss reached {spike:.2g} times its start"
    rate = case.number("learning_rate")
    factors = (0.1, 0.01) if case.run.diverged or not case.learned else (0.1, 10**-0.5)
    return Suspicion(VerdictCode.LR_TOO_HIGH, why, tuple({"learning_rate": rate * f} for f in factors))


def _rate_too_low(case: Case) -> Suspicion | None:
    """Only where the loss still falls, or has not begun to."""
    if case.run.diverged or case.fitted or not (still_falling(case) or not case.learned):
        return None
    rate = case.number("learning_rate")
    factors = (10.0, 100.0)
    why = "the training loss still falls slowly" if case.learned else "the loss never left chance"
    return Suspicion(
        VerdictCode.LR_TOO_LOW, why, tuple({"learning_rate": rate * f} for f in factors), share=0.2
    )


def still_falling(case: Case) -> bool:
    """The training loss has a falling trend at the end (Mann-Kendall) of more than half a percent an epoch."""
    return case.feature("train_slope") < -0.005 and case.feature("train_trend_p") < 0.1


def _plateau(case: Case) -> Suspicion | None:
    if case.run.diverged or case.fitted or not case.learned or case.values["schedule"] != "constant":
        return None
    changes: Params = {
        "schedule": "step", "schedule_epochs": 0.0, "step_epochs": case.epochs, "step_factor": 0.1,
    }  # fmt: skip
    return Suspicion(
        VerdictCode.PLATEAU_DECAY, "the training loss has not settled", (changes,), continues=True
    )


def _train_longer(case: Case) -> Suspicion | None:
    if case.run.diverged or case.fitted or not case.learned or case.values["schedule"] != "constant":
        return None
    return Suspicion(VerdictCode.TRAIN_LONGER, "the training data are not fit yet", ({},), continues=True)


def _too_small(case: Case) -> Suspicion | None:
    if case.run.diverged or case.fitted or not case.sizing:
        return None
    return Suspicion(VerdictCode.UNDERFIT, "the training data are not fit", (case.sizing,))


def _unshuffled(case: Case) -> Suspicion | None:
    order = case.check.measurement("label_order")
    if case.values["shuffle"] or not order > ORDERED:
        return None
    why = f"the data are not shuffled and come in order of their targets (correlation {order:.2f})"
    return Suspicion(VerdictCode.NOISY_EVAL, why, ({"shuffle": True},))


def regularizers(case: Case) -> tuple[Params, ...]:
    """Changes that work against overfitting, whatever the model: decay that shrinks the weights by a factor
    e**2 over the run if the loss does not hold them, and mixed samples or softer labels for classes.
    """
    rate = case.number("learning_rate") / max(1 - case.number("momentum"), 1e-3)
    adaptive = case.values["optimizer"] in ("adam", "adamw", "rmsprop", "adagrad")
    steps = max(1.0, case.epochs * case.facts.steps_per_epoch)
    pull = 2 / ((case.number("learning_rate") if adaptive else rate) * steps)
    decay: Params = {"weight_decay": min(max(pull, case.number("weight_decay") * 3), 10.0)}
    if case.values["optimizer"] == "adam":
        decay["optimizer"] = "adamw"
    tries = [decay]
    if case.facts.classes > 1 and case.number("label_smoothing") == 0:
        tries.append({**decay, "label_smoothing": 0.1})
    return tuple(tries)


RAISED: tuple[Callable[[Case], Suspicion | None], ...] = (
    _input_scale,
    _initialization,
    _unshuffled,
    _over_regularized,
    _decay_too_early,
    _rate_too_high,
    _rate_too_low,
    _plateau,
    _train_longer,
    _too_small,
)
