"""The end: the winner with learning rate decay on fresh seeds, and the test set opened once.

Where the last verdict says that the winner still improves, a decay within the same length would cut it off
(a regression went from 0.007 to 0.014 by it), so its learning rate stays constant.

Selecting the best of many noisy runs is optimistic (recipe.md, step 5), so the printed value is the mean
over replicates that no earlier stage has seen.
"""

import math
import statistics

from hpsearch.recipe.decision import Answer, ended
from hpsearch.recipe.history import History
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
from hpsearch.vocabulary import VerdictCode

PROGRAM = Program(kind="train", test=True)


def step(history: History, stage: Stage) -> Answer:
    plans = _plans(history)
    if not history.done(plans):
        return plans
    results = history.results(plans)
    sound = [t for t in results if t.state is TrialState.COMPLETED and t.value is not None]
    if not sound:
        verdict = Verdict(
            code=VerdictCode.LR_TOO_HIGH,
            text=f"none of {len(results)} fresh seeds finished: {results[0].message or results[0].state}",
            confidence=0.8,
            remedy=Remedy(text="the winner was lucky; lower its learning rate or take a point it ties with"),
        )
        return ended(stage, StageState.FAILED, verdict, history.carry)
    verdict = Verdict(
        code=VerdictCode.OK, text=_text(history, sound), confidence=0.95, evidence=_evidence(sound)
    )
    state = StageState.PASSED if len(sound) == len(results) else StageState.WARNED
    return ended(stage, state, verdict, history.carry)


def _plans(history: History) -> tuple[TrialPlan, ...]:
    winner = history.carry.winner
    assert winner is not None
    params = winner
    improving = history.carry.verdicts[-1:] == (VerdictCode.TRAIN_LONGER,)
    if history.free("schedule") and history.value("schedule", winner) == "constant" and not improving:
        params = history.point(**{**winner, "schedule": "cosine"})
    epochs = history.carry.winner_epochs
    seeds = history.spec.recipe.replicates
    return tuple(
        history.train(params, epochs=epochs, role="final", program=PROGRAM, replicate=replicate)
        for replicate in range(seeds, 2 * seeds)
    )


def _mean_error(values: list[float]) -> tuple[float, float]:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def _text(history: History, sound: list[Trial]) -> str:
    metric = history.spec.objective.metric
    mean, error = _mean_error([float(t.value) for t in sound if t.value is not None])
    text = f"{metric} {mean:.4g} ± {error:.2g} over {len(sound)} fresh seeds"
    tests = sorted(
        {name for t in sound for name in t.metrics if name.startswith("test_") and name != "test_loss"}
    )
    for name in tests:
        mean, error = _mean_error([t.metrics[name] for t in sound if name in t.metrics])
        text += f"; {name} {mean:.4g} ± {error:.2g}"
    return text


def _evidence(sound: list[Trial]) -> tuple[Evidence, ...]:
    return tuple(Evidence(name=f"seed {t.replicate}: objective", value=t.value, text=_test(t)) for t in sound)


def _test(trial: Trial) -> str:
    return ", ".join(f"{k} {v:.4g}" for k, v in sorted(trial.metrics.items()) if k.startswith("test_"))
