"""Every schedule at every step against its closed form."""

import numpy as np
import pytest

from hpsearch.training.schedules import build_schedule
from hpsearch.vocabulary import SCHEDULES, hyperparameters

TOTAL, WARMUP = 100, 20


def wanted(name: str, warmup: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    t = np.arange(TOTAL, dtype=float)
    p = (t - warmup) / (TOTAL - warmup)
    start = warmup or 10  # without a warmup the first epoch
    formulas = {
        "constant": np.ones(TOTAL),
        "step": np.where(t >= TOTAL // 2, 0.1, 1.0),
        "cosine": (1 + np.cos(np.pi * p)) / 2,
        "linear": 1 - p,
        "inverse_sqrt": np.minimum(1.0, np.sqrt(start / (t + 1))),
    }
    return np.where(t < warmup, (t + 1) / max(warmup, 1), formulas[name])


@pytest.mark.parametrize("warmup", [0, WARMUP])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_follows_its_formula_at_every_step(name: str, warmup: int) -> None:
    schedule = build_schedule(
        hyperparameters({}, {"schedule": name, "warmup_epochs": warmup / 10}), TOTAL, steps_per_epoch=10
    )
    assert [schedule.factor(step) for step in range(TOTAL)] == pytest.approx(wanted(name, warmup))


def test_warmup_and_inverse_sqrt_join_as_in_the_paper() -> None:
    """Vaswani et al. 2017, equation 3, over its maximum: min(s^-1/2, s w^-3/2) w^1/2 for s = 1, 2, ..."""
    s, w = np.arange(1.0, TOTAL + 1), float(WARMUP)
    paper = np.minimum(s**-0.5, s * w**-1.5) * w**0.5
    schedule = build_schedule(
        hyperparameters({}, {"schedule": "inverse_sqrt", "warmup_epochs": 2}), TOTAL, steps_per_epoch=10
    )
    assert [schedule.factor(step) for step in range(TOTAL)] == pytest.approx(paper)
