"""What a next run takes over from the probe that proved a verdict."""

from hpsearch.recipe.case import Case
from hpsearch.recipe.effects import Effect
from hpsearch.recipe.rates import LARGE_UPDATE
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.space import Params, ParamValue
from hpsearch.vocabulary import VerdictCode

HALF_A_DECADE = 10**0.5
FEW_EPOCHS = 10
MUCH, SOME = 0.1, 0.03  # of all there is to gain, that a part more of a run gained


def made(best: Effect) -> Params:
    """What the probe changed, without what only kept its schedule's length."""
    own = dict(best.probe.changes)
    if "schedule" not in own:
        own.pop("schedule_epochs", None)
    return own


def mending(case: Case, suspicion: Suspicion, best: Effect) -> Params:
    """The changes to make: of a model that is too small, its own size where a knob sizes it. A run that is both
    short and slow is trained longer too; one that has not settled and takes large steps begins on a lower rate.
    Larger batches make fewer steps of as many epochs.
    """
    if suspicion.code is VerdictCode.UNDERFIT and case.size_knob:
        return case.size_knob
    changes = remedial(case, best)
    slow = suspicion.code is VerdictCode.LR_TOO_LOW and case.short and "learning_rate" in changes
    if slow or ("batch_size" in changes and case.epochs < FEW_EPOCHS):
        changes["epochs"] = max(1, round(4 * case.epochs))
    if suspicion.code is VerdictCode.PLATEAU_DECAY and case.feature("update_ratio_median") > LARGE_UPDATE:
        changes["learning_rate"] = case.number("learning_rate") / HALF_A_DECADE
    return changes


def remedial(case: Case, best: Effect) -> Params:
    """The probe's changes for a whole run: a cut at the same part of it; a decay over all of it where a cut at
    the examined run's end has helped.
    """
    own = made(best)
    if best.probe.continues and "schedule" in own:
        return {"schedule": "cosine", "schedule_epochs": 0.0}
    if "step_epochs" in own:
        own["step_epochs"] = float(own["step_epochs"]) * case.epochs / best.probe.epochs
    return own or {"epochs": max(1, round(_stretch(best) * case.epochs))}


def _stretch(best: Effect) -> float:
    """How much longer to train: twice, and more where a part more has gained so much."""
    gain = best.gain if best.probe.continues else best.lost
    return 8.0 if gain > MUCH else 4.0 if gain > SOME else 2.0


def worth_trying(changes: Params) -> dict[str, list[ParamValue]]:
    """Each proven value, and beside it those that so short a probe may have missed by."""
    found: dict[str, list[ParamValue]] = {name: [value] for name, value in changes.items()}
    for name, value in changes.items():
        if name == "learning_rate":
            found[name] += [float(value) * HALF_A_DECADE, float(value) / HALF_A_DECADE]
        elif name == "epochs" and "learning_rate" not in changes:
            found[name].append(2 * int(value))
        elif name == "step_epochs" and "schedule" not in changes:
            found["schedule"] = ["step", "cosine", "constant"]
        elif name == "initialization":
            found[name] += [other for other in ("reset", "kaiming") if other != value]
        elif name == "schedule" and value == "cosine" and "learning_rate" not in changes:
            found[name].append("linear")
    return found
