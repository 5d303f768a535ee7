"""The numbers that a verdict on a run shows, each beside the threshold it was held against."""

import math

from hpsearch.recipe import initial_loss
from hpsearch.recipe.case import Case
from hpsearch.records import Evidence

CURVE_EVIDENCE = (
    ("train_loss_end", "training loss at the end", ""),
    ("val_loss_end", "validation loss at the end", ""),
    ("train_objective_end", "training objective at the end", ""),
    ("objective_best", "best validation objective", ""),
    ("gap", "gap training - validation", "<= 0.1 for shares"),
    ("val_loss_rise", "validation loss: last / lowest", "<= 1.1"),
    ("best_position", "position of the best epoch", ""),
    ("train_slope", "late slope of log training loss per epoch", ""),
    ("train_trend_p", "p that training loss still falls (Mann-Kendall)", "< 0.1 still falls"),
    ("flat_fraction", "share of steps before the loss moved", "<= 0.1"),
    ("loss_spike", "highest smoothed loss / first", "<= 1.5"),
    ("noise", "minibatch noise", ""),
    ("update_ratio_median", "update / weight magnitude", "1e-4 to 1e-1 is usual"),
    ("diverged_at", "step at which the loss left", ""),
)


def evidence(case: Case) -> tuple[Evidence, ...]:
    """The measurements of step 1 and of the curve, each with the threshold it was held against."""
    found = list(initial_loss.evidence(case.check))
    run = case.run.seen
    for name, text, limit in CURVE_EVIDENCE:
        value = run.measurement(name)
        if not math.isnan(value):
            found.append(Evidence(name=text, value=value, threshold=limit))
    return tuple(found)
