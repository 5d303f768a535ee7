"""Which stretch of a run's curve a verdict speaks of."""

from collections.abc import Sequence

import numpy as np

from hpsearch.curves import LATE_SHARE, Curve
from hpsearch.records import Measured
from hpsearch.vocabulary import VerdictCode

LATE = 1 - LATE_SHARE


def segment_of(code: VerdictCode, curve: Curve) -> tuple[int, int] | None:
    """First and last step of the stretch; None where the verdict speaks of the whole run."""
    steps = next((curve[n][0] for n in ("val_loss", "train_loss", "loss") if len(_points(curve, n)[0])), ())
    if not len(steps):
        return None
    last = int(steps[-1])
    match code:
        case VerdictCode.OVERFIT if len(_points(curve, "val_loss")[0]):
            at, values = curve["val_loss"]
            return int(at[int(np.nanargmin(values))]), last
        case VerdictCode.TRAIN_LONGER | VerdictCode.PLATEAU_DECAY | VerdictCode.NOISY_EVAL:
            return int(steps[min(int(LATE * len(steps)), len(steps) - 1)]), last
        case VerdictCode.DECAY_TOO_EARLY if len(_points(curve, "learning_rate")[0]) > 1:
            at, rates = curve["learning_rate"]
            cut = np.flatnonzero(np.asarray(rates[1:]) < np.asarray(rates[:-1]))
            return (int(at[int(cut[0]) + 1]), last) if len(cut) else None
        case VerdictCode.LR_TOO_HIGH if len(_points(curve, "loss")[0]):
            at, values = curve["loss"]
            return int(at[int(np.nanargmin(values))]), int(at[-1])
        case _:
            return None


def evaluated_curve(run: Measured) -> Curve:
    """The losses of a run's evaluations, from its measurements."""
    per_epoch = run.measurement("steps_per_epoch", 1.0)
    steps = [round(epoch * per_epoch) for epoch in run.measurement_list("curve_epochs")]
    names = ("train_loss", "val_loss")
    return {name: (steps, run.measurement_list(f"curve_{name}")) for name in names if steps}


def _points(curve: Curve, name: str) -> tuple[Sequence[int], Sequence[float]]:
    return curve.get(name, ((), ()))
