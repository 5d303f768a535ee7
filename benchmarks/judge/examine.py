"""One case under one seed: train it, judge it, try the remedy, ask the anchors."""

import itertools
import math
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.judge.anchors import autotrainer, bttackler, losslint, umlaut
from benchmarks.judge.anchors.sight import Anchor, Sight
from benchmarks.judge.cases import Case
from benchmarks.judge.killing import Ending
from benchmarks.judge.result import Judgement, Result
from benchmarks.judge.run import Run, train
from hpsearch.judge import diagnose
from hpsearch.space import Params, ParamValue
from hpsearch.training import Task

ANCHORS: Mapping[str, Anchor] = {
    "AutoTrainer": autotrainer.symptoms,
    "UMLAUT": umlaut.symptoms,
    "BTTackler": bttackler.symptoms,
    "losslint": losslint.symptoms,
}


def ending(run: Run) -> Ending:
    first = next(iter(run.curves.get("val_loss", ())), math.nan)
    return Ending(score=run.score, loss=run.last("val_loss"), first_loss=first)


def examine(case: Case, seed: int, *, judged: bool = True, passive: bool = False) -> Result:
    """`judged`: ask the judgement and the anchors too, else only train. `passive`: ask it a second time,
    without probes.
    """
    run = train(case.task(), case.params, seed)
    if not judged:
        return Result(case.name, seed, ending(run), None, "", {})
    sight = Sight(run, case.params)
    return Result(
        case=case.name,
        seed=seed,
        ending=ending(run),
        judgement=_judged(case, seed),
        passive=_verdict(case.task(), case.params, seed) if passive else "",
        anchors={name: rules(sight) for name, rules in ANCHORS.items()},
    )


def _judged(case: Case, seed: int) -> Judgement:
    began = time.perf_counter()
    try:
        answer = diagnose(case.task(), case.params, seed=seed)
    except Exception as error:
        seconds = time.perf_counter() - began
        return Judgement("error", 0.0, "", {}, None, 0, 0, seconds, f"{type(error).__name__}: {error}")
    remedy: Mapping[str, Any] = answer["remedy"] or {}
    changes: dict[str, ParamValue] = dict(remedy.get("changes") or {})
    repairable = case.fault is not None and case.fault.repairable
    cost = answer["cost"]
    return Judgement(
        verdict=answer["verdict"],
        confidence=float(answer["confidence"]),
        text=answer["text"],
        changes=changes,
        repaired=_repaired(case, changes, seed) if repairable and changes else None,
        round=_round(case, dict(remedy.get("grid") or {}), seed) if repairable and changes else None,
        run_steps=cost["run_steps"],
        probe_steps=cost["probe_steps"],
        seconds=cost["seconds"],
    )


def _repaired(case: Case, changes: Params, seed: int) -> Ending:
    try:
        return ending(train(case.task(), {**case.params, **changes}, seed))
    except Exception:
        return Ending(-math.inf, math.nan, math.nan)


def _round(case: Case, grid: Mapping[str, list[ParamValue]], seed: int) -> Ending:
    """The round that the remedy asks for: every combination of its values, the lowest validation loss wins."""
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    ends = [_repaired(case, point, seed) for point in points]
    return min(ends, key=lambda end: math.inf if end.diverged or math.isnan(end.loss) else end.loss)


def _verdict(task: Task, params: Params, seed: int) -> str:
    try:
        return str(diagnose(task, params, seed=seed, probes=False)["verdict"])
    except Exception:
        return "error"
