"""A training curve as numbers: trend, gap, noise, plateau. NumPy only; the one place that interprets NaN.

A curve is a mapping from metric name to (steps, values). Minibatch losses are called `loss`; everything
measured once an epoch is `train_<name>` or `val_<name>`. A feature that can't be computed is absent.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Curve = Mapping[str, tuple[Sequence[int], Sequence[float]]]

SHORT_MEMORY = 0.9  # EMA of minibatch losses (recipe.md, step 6)
LATE_SHARE = 0.3  # slopes and late noise are taken over this last share of the evaluations
MIN_LATE_POINTS = 3


def smoothed(values: Sequence[float] | Floats, memory: float = SHORT_MEMORY) -> Floats:
    """Exponential moving average with bias correction (Adam's), same length as `values`."""
    out = np.empty(len(values))
    average, weight = 0.0, 0.0
    for i, value in enumerate(np.asarray(values, dtype=float).tolist()):
        average = memory * average + (1 - memory) * value
        weight = memory * weight + (1 - memory)
        out[i] = average / weight
    return out


def thinned(count: int, points: int) -> list[int]:
    """Indices that keep `points` of `count` evenly spread samples, both ends among them."""
    if count <= points:
        return list(range(count))
    return [int(i) for i in np.unique(np.linspace(0, count - 1, points).round())]


def theil_sen(values: Sequence[float] | Floats) -> float:
    """Median of all pairwise slopes per sample (Theil 1950, Sen 1968); NaN below two points."""
    y = np.asarray(values, dtype=float)
    if len(y) < 2:
        return math.nan
    i, j = np.triu_indices(len(y), k=1)
    return float(np.median((y[j] - y[i]) / (j - i)))


def mann_kendall(values: Sequence[float] | Floats) -> float:
    """One-sided p-value that the values fall (Mann 1945, normal approximation with continuity)."""
    y = np.asarray(values, dtype=float)
    n = len(y)
    if n < MIN_LATE_POINTS:
        return math.nan
    i, j = np.triu_indices(n, k=1)
    score = float(np.sign(y[j] - y[i]).sum())
    sd = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    z = (score + np.sign(-score)) / sd
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def detrended_sd(values: Sequence[float] | Floats) -> float:
    """Standard deviation around the Theil-Sen line; NaN below three points."""
    y = np.asarray(values, dtype=float)
    if len(y) < MIN_LATE_POINTS:
        return math.nan
    residuals = y - theil_sen(y) * np.arange(len(y))
    return float(np.std(residuals, ddof=2))


def late(values: Floats) -> Floats:
    """The last 30 % of the evaluations, three at least where there are three."""
    count = max(MIN_LATE_POINTS, math.ceil(LATE_SHARE * len(values)))
    return values[-count:]


def features(curve: Curve, objective: str, direction: str) -> dict[str, float]:
    """All features of one run. `objective` is a metric's name, `direction` minimize or maximize.

    Of minibatch losses: `loss_first loss_best loss_end` (smoothed), `loss_spike` (highest smoothed loss /
    first), `flat_fraction flat_steps` (until 10 % of the drop is made), `noise`. Of evaluations:
    `train_loss_end val_loss_end val_loss_tail` (mean of the last two) `val_loss_best` (lowest mean of two
    neighbours) `val_loss_rise` (last / lowest) `val_loss_se`, `train_slope train_trend_p val_slope
    val_trend_p`, `objective_se objective_end objective_best best_position` (0-1), `val_gain_se` (gain of
    the objective over the late window in SE), `gap` (train - val objective, positive when train is
    better), `train_objective_end`, `evaluations`. Of the schedule: `lr_drops lr_drop_position
    slope_before_drop slope_after_drop`. Of updates and gradients: `update_ratio_median update_ratio_max
    grad_norm_median grad_norm_max`.
    """
    found: dict[str, float] = {}
    arrays = {name: np.asarray(values, dtype=float) for name, (_, values) in curve.items()}
    steps = {name: np.asarray(points, dtype=float) for name, (points, _) in curve.items()}
    if len(arrays.get("loss", ())):
        found.update(_loss_features(arrays["loss"]))
    found.update(_evaluation_features(arrays))
    found.update(_objective_features(arrays, objective, direction))
    if "learning_rate" in arrays:
        found.update(_schedule_features(arrays, steps))
    for name in ("update_ratio", "grad_norm"):
        values = arrays.get(name, np.empty(0))
        known = values[~np.isnan(values)]  # of a run that diverged at once there may be none
        if len(known):
            found[f"{name}_median"] = float(np.median(known))
            found[f"{name}_max"] = float(known.max())
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _loss_features(loss: Floats) -> dict[str, float]:
    finite = loss[np.isfinite(loss)]
    if not len(finite):
        return {}
    smooth = smoothed(finite)
    first, best = float(finite[0]), float(smooth.min())
    found = {
        "loss_first": first,
        "loss_best": best,
        "loss_end": float(smooth[-1]),
        "loss_spike": float(smooth.max() / first) if first > 0 else math.nan,
        "noise": float(np.median(np.abs(finite - smooth) / np.maximum(smooth, 1e-12))),
    }
    drop = first - best
    if drop > 0:
        reached = np.flatnonzero(smooth <= first - 0.1 * drop)
        found["flat_steps"] = float(reached[0]) if len(reached) else float(len(smooth))
        found["flat_fraction"] = found["flat_steps"] / len(smooth)
    return found


def _evaluation_features(arrays: Mapping[str, Floats]) -> dict[str, float]:
    found: dict[str, float] = {}
    train, val = arrays.get("train_loss"), arrays.get("val_loss")
    if train is not None and len(train):
        found["train_loss_end"] = float(train[-1])
        window = np.log(np.maximum(late(train), 1e-12))
        found["train_slope"] = theil_sen(window)
        found["train_trend_p"] = mann_kendall(window)
    if val is not None and np.isfinite(val).any():
        pairs = (val[1:] + val[:-1]) / 2 if len(val) > 1 else val
        found["evaluations"] = float(len(val))
        found["val_loss_end"] = float(val[-1])
        found["val_loss_tail"] = float(val[-2:].mean())
        found["val_loss_best"] = float(np.nanmin(pairs)) if np.isfinite(pairs).any() else math.nan
        found["val_loss_rise"] = float(val[-1] / max(float(np.nanmin(val)), 1e-12))
        found["val_slope"] = theil_sen(np.log(np.maximum(late(val), 1e-12)))
        found["val_trend_p"] = mann_kendall(late(val))
        # A falling loss falls by a factor an epoch: its trend is a line in the logarithm.
        found["val_loss_se"] = detrended_sd(np.log(np.maximum(late(val), 1e-12))) * float(val[-1])
    return found


def _objective_features(arrays: Mapping[str, Floats], objective: str, direction: str) -> dict[str, float]:
    values = arrays.get(objective)
    if values is None or not np.isfinite(values).any():
        return {}
    sign = 1.0 if direction == "maximize" else -1.0
    best = int(np.nanargmax(sign * values))
    noise = detrended_sd(late(values))
    window = sign * late(values)
    gain = float(window[-1] - window[0])
    found = {
        "objective_end": float(values[-1]),
        "objective_best": float(values[best]),
        "objective_se": noise,
        "best_position": (best + 1) / len(values),
        "val_gain_se": gain / noise if noise > 0 else math.nan,
    }
    twin = arrays.get(objective.replace("val_", "train_", 1))
    if objective.startswith("val_") and twin is not None and len(twin):
        found["train_objective_end"] = float(twin[-1])
        found["gap"] = sign * float(twin[-1] - values[-1])
    return found


def _schedule_features(arrays: Mapping[str, Floats], steps: Mapping[str, Floats]) -> dict[str, float]:
    """Sudden cuts of the learning rate (to less than 0.7 in one sample) and the loss's slope around the first."""
    rate = arrays["learning_rate"]
    drops = np.flatnonzero(rate[1:] < 0.7 * rate[:-1]) + 1
    found = {"lr_drops": float(len(drops))}
    train, at = arrays.get("train_loss"), steps.get("train_loss")
    if not len(drops) or train is None or at is None or len(train) < 4:
        return found
    when = steps["learning_rate"][drops[0]]
    found["lr_drop_position"] = float(when / max(at[-1], 1.0))
    logs = np.log(np.maximum(train, 1e-12))
    found["slope_before_drop"] = theil_sen(logs[at <= when])
    found["slope_after_drop"] = theil_sen(logs[at > when])
    return found
