"""Step 2: overfit a small sample, climbing a ladder of remedies until it fits.

recipe.md §3 step 2: 8 class-stratified minibatches, regularization off; learning rates 1e-1 ... 1e-4 for
300 iterations, then 1000 for the best; one decade beyond either end; another initialization; standardized
inputs; twice and four times the width, then one layer more. The cheapest success gives architecture and
initialization, not its learning rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.history import DEPTHS, NO_REGULARIZATION, WIDTHS, History
from hpsearch.records import (
    Evidence,
    Program,
    Remedy,
    Stage,
    StageState,
    Trial,
    TrialPlan,
    TrialState,
    Verdict,
)
from hpsearch.space import Params
from hpsearch.vocabulary import VerdictCode

MINIBATCHES = 8
DECADES = (1e-1, 1e-2, 1e-3, 1e-4)
BEYOND = (1.0, 1e-5)
SHORT_STEPS, LONG_STEPS = 300, 1000
# A regression seldom reaches 1 % of the expected loss in 1000 steps (diabetes, 256 samples: 15 %): below this
# share the model can learn the sample, and the study goes on with a warning.
NEARLY = 0.5
CLOSE = 0.9  # training accuracy from which a slow optimizer is likelier than a model that is too small
FLAT_DROP = 0.05  # a loss that fell by less than this share did not move
PROGRAM = Program(kind="train", subset_batches=MINIBATCHES, overrides=NO_REGULARIZATION, stop_when_fit=True)


@dataclass(frozen=True)
class Rung:
    """One thing to try: learning rates under changed settings."""

    name: str
    rates: tuple[float, ...]
    settings: Params
    steps: int = SHORT_STEPS


def step(history: History, stage: Stage) -> Answer:
    tried: list[Trial] = []
    for rung in ladder(history):
        answer = _climb(history, stage, rung, tried)
        if answer is not None:
            return answer
    last = _last_chance(history, tried)
    if last is not None:
        if not history.done((last,)):
            return (last,)
        tried += history.results((last,))
        if fit_step(tried[-1]) is not None:
            return _passed(history, stage, _rung_of(history, tried[-1]), tried[-1:], tried)
    return _failed(history, stage, tried)


def _climb(history: History, stage: Stage, rung: Rung, tried: list[Trial]) -> Answer | None:
    """One rung, a rate at a time: the first that fits is enough. None: go on to the next rung; `tried` grows."""
    results: list[Trial] = []
    for plan in _plans(history, rung):
        if not history.done((plan,)):
            return (plan,)
        results += history.results((plan,))
        if fit_step(results[-1]) is not None:
            return _passed(history, stage, rung, results[-1:], [*tried, *results])
    tried += results
    if (close := _nearly(history, stage, tried)) is not None:
        return close
    longer = _longer(history, rung, results)
    if longer is None:
        return None
    if not history.done((longer,)):
        return (longer,)
    tried += history.results((longer,))
    return _passed(history, stage, rung, tried[-1:], tried) if fit_step(tried[-1]) is not None else None


def _last_chance(history: History, tried: Sequence[Trial]) -> TrialPlan | None:
    """1000 iterations for the most promising of the whole ladder, unless it had them."""
    alive = [t for t in tried if t.state is TrialState.COMPLETED]
    best = min(alive, key=lambda t: t.measurement("loss_end", math.inf), default=None)
    if best is None or best.steps >= LONG_STEPS:
        return None
    return history.train(best.params, steps=LONG_STEPS, role=best.role, program=PROGRAM)


def _rung_of(history: History, trial: Trial) -> Rung:
    return next(rung for rung in ladder(history) if rung.name == trial.role)


def ladder(history: History) -> tuple[Rung, ...]:
    """The rungs this study may climb; not those climbed in an earlier round, nor those that
    move a fixed or unknown knob."""
    rungs = [Rung("learning rate", DECADES, {}), Rung("learning rate, a decade beyond", BEYOND, {})]
    for name, settings in _changes(history):
        rungs.append(Rung(name, DECADES, settings))
    return tuple(rung for rung in rungs if rung.name not in history.carry.rungs)


def _changes(history: History) -> list[tuple[str, Params]]:
    changes: list[tuple[str, Params]] = []
    if history.free("initialization") and history.value("initialization") != "framework":
        changes.append(("initialization of the framework", {"initialization": "framework"}))
    if history.free("output_scale"):
        changes.append(("last layer x0.1", {"output_scale": 0.1}))
    if history.free("preprocessing") and history.value("preprocessing") != "standardized":
        changes.append(("standardized inputs", {"preprocessing": "standardized"}))
    for width in (name for name in WIDTHS if history.free(name)):
        now = history.value(width)
        for factor in (2, 4):
            if isinstance(now, int) and history.inside(width, [now * factor]):
                changes.append((f"{width} x{factor}", {width: now * factor}))
    for depth in (name for name in DEPTHS if history.free(name)):
        layers = history.value(depth)
        if isinstance(layers, int) and history.inside(depth, [layers + 1]):
            changes.append(("one layer more", {depth: layers + 1}))
    return changes


def fit_step(trial: Trial) -> int | None:
    """The step at which the sample was fit, or None."""
    at = trial.measurement("fit_at")
    return None if math.isnan(at) else int(at)


def _plans(history: History, rung: Rung) -> tuple[TrialPlan, ...]:
    return tuple(
        history.train(
            history.point(**rung.settings, learning_rate=rate),
            steps=rung.steps,
            role=rung.name,
            program=PROGRAM,
        )
        for rate in rung.rates
    )


def _longer(history: History, rung: Rung, results: Sequence[Trial]) -> TrialPlan | None:
    """The most promising of a first rung that fell short, given 1000 iterations."""
    alive = [t for t in results if t.state is TrialState.COMPLETED]
    if rung.rates != DECADES or rung.settings or not alive or any(fit_step(t) is not None for t in results):
        return None
    best = min(alive, key=lambda t: t.measurement("loss_end", math.inf))
    return history.train(best.params, steps=LONG_STEPS, role=rung.name, program=PROGRAM)


def _evidence(trials: Sequence[Trial]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            name=f"{trial.role}: lr {trial.params['learning_rate']:g}",
            value=float(at) if (at := fit_step(trial)) is not None else math.nan,
            threshold="fits within its steps",
            ok=at is not None,
            text=_how_it_went(trial),
        )
        for trial in trials
    )


def _how_it_went(trial: Trial) -> str:
    if trial.state is TrialState.DIVERGED:
        return f"diverged at step {trial.measurement('diverged_at'):.0f}"
    if trial.state is not TrialState.COMPLETED:
        return trial.message or str(trial.state)
    accuracy = trial.metrics.get("train_accuracy")
    reached = (
        f"{accuracy:.1%} training accuracy"
        if accuracy is not None
        else f"loss {trial.measurement('loss_end'):.3g}"
    )
    at = fit_step(trial)
    return f"fit after {at} steps" if at is not None else f"{reached} after {trial.steps} steps"


def _passed(
    history: History, stage: Stage, rung: Rung, fitted: Sequence[Trial], tried: Sequence[Trial]
) -> Answer:
    cheapest = min(fitted, key=lambda trial: fit_step(trial) or 0)
    rate = cheapest.params["learning_rate"]
    limit = min(
        (float(t.params["learning_rate"]) for t in tried if t.state is TrialState.DIVERGED), default=None
    )
    carry = history.carry.model_copy(
        update={
            "settings": {**history.carry.settings, **rung.settings},
            "rungs": tuple(dict.fromkeys([*history.carry.rungs, *(trial.role for trial in tried)])),
            "stability_limit": limit if limit is not None else history.carry.stability_limit,
        }
    )
    changed = f" with {rung.name}" if rung.settings else ""
    verdict = Verdict(
        code=VerdictCode.OK,
        text=f"fits {MINIBATCHES} minibatches perfectly after {fit_step(cheapest)} steps at learning rate {rate:g}{changed}",
        confidence=0.9,
        evidence=_evidence(tried),
    )
    return ended(stage, StageState.WARNED if rung.settings else StageState.PASSED, verdict, carry)


def _nearly(history: History, stage: Stage, tried: Sequence[Trial]) -> Answer | None:
    """A regression that came close enough to show that the model can learn; else None."""
    facts = history.facts()
    alive = [t for t in tried if t.state is TrialState.COMPLETED]
    if not math.isnan(facts.classes) or not alive:
        return None
    best = min(alive, key=lambda t: t.measurement("loss_end", math.inf))
    share = best.measurement("loss_end", math.inf) / facts.expected_loss
    if not share <= NEARLY:
        return None
    carry = history.carry.model_copy(
        update={"rungs": tuple(dict.fromkeys([*history.carry.rungs, *(t.role for t in tried)]))}
    )
    verdict = Verdict(
        code=VerdictCode.UNDERFIT,
        text=f"the sample's loss falls to {share:.0%} of the expected loss, not to 1 %: learnable, but not by heart",
        confidence=0.4,
        evidence=_evidence(tried),
        remedy=Remedy(text="a larger model would fit it; the search goes on with this one"),
    )
    return ended(stage, StageState.WARNED, verdict, carry)


def _failed(history: History, stage: Stage, tried: Sequence[Trial]) -> Answer:
    code, text, remedy = _branch(history, tried)
    verdict = Verdict(
        code=code, text=text, confidence=0.8, evidence=_evidence(tried), remedy=Remedy(text=remedy)
    )
    return ended(stage, StageState.FAILED, verdict, history.carry)


def _branch(history: History, tried: Sequence[Trial]) -> tuple[VerdictCode, str, str]:
    """Which way the small sample was not fit (the lecture's own diagnosis of step 2)."""
    broken = [t for t in tried if t.state is TrialState.FAILED]
    if broken and len(broken) == len(tried):
        return (
            VerdictCode.NOT_ENOUGH_EVIDENCE,
            f"no trial could run: {broken[0].message}",
            "mend the task and retry",
        )
    alive = [t for t in tried if t.state is TrialState.COMPLETED]
    if not alive:
        return (
            VerdictCode.LR_TOO_HIGH,
            "every learning rate made the loss explode",
            "lower the learning rate below 1e-5, or initialize with smaller weights",
        )
    if all(_flat(t) for t in alive):
        return (
            VerdictCode.BAD_INIT,
            "the loss did not move at any learning rate: units are dead or gradients vanish",
            "change the initialization or the activation; check that the parameters reach the optimizer",
        )
    conflicts = max(t.measurement("conflicts", 0.0) for t in alive)
    if conflicts > 0:
        return (
            VerdictCode.LABELS,
            f"{conflicts:.0f} identical inputs of the sample carry different labels, so 100 % can't be reached",
            "clean the labels, or accept that errors remain and use method: random",
        )
    best = min(alive, key=lambda t: t.measurement("loss_end", math.inf))
    if best.metrics.get("train_accuracy", 0.0) >= CLOSE:
        return (
            VerdictCode.UNDERFIT,
            f"the best of {len(tried)} trials reaches {_how_it_went(best)}: close, but not by heart",
            "a faster optimizer (momentum: 0.9, or optimizer: adam), a loss made for classes, or a larger model",
        )
    return (
        VerdictCode.UNDERFIT,
        f"the best of {len(tried)} trials stays at {_how_it_went(best)}: the model can't fit even a small sample",
        "use a larger model, or look for a bug between the inputs and the outputs",
    )


def _flat(trial: Trial) -> bool:
    first, best = trial.measurement("loss_first"), trial.measurement("loss_best")
    return first > 0 and (first - best) / first < FLAT_DROP
