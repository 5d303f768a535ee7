"""Optuna's RDB storage at the work that `load.py` measures."""

import time
from typing import Any


def optuna_cycles(url: str, seconds: float, points: int | None, points_each: int = 20) -> float:
    """Life cycles a second of Optuna's RDB storage, in process: ask, 20 intermediate values, tell."""
    import optuna  # noqa: PLC0415 - a peer

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    sampler: Any = optuna.samplers.RandomSampler(seed=0)
    if points is not None:
        sampler = optuna.samplers.GridSampler({"x": list(range(points))})
    study = optuna.create_study(storage=storage, sampler=sampler)
    done, began = 0, time.perf_counter()
    # The grid sampler can't be told the last point outside of `optimize`: one is left over.
    while time.perf_counter() - began < seconds and (points is None or done < points - 1):
        trial = study.ask()
        value = float(trial.suggest_int("x", 0, (points or 1_000_000) - 1))
        for step in range(points_each):
            trial.report(value + step, step)
        study.tell(trial, value)
        done += 1
    return done / (time.perf_counter() - began)
