"""Step 7: verdict -> next refined grid. One knob family a round (recipe.md §3 step 7).

A knob moves only where the study leaves it free and only inside its bounds; what may not move is advice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hpsearch.recipe.grid import distinct
from hpsearch.recipe.history import DEPTHS, WIDTHS, History
from hpsearch.records import Remedy
from hpsearch.space import Params, ParamValue
from hpsearch.vocabulary import VerdictCode

# A knob and the values to try for it.
Change = tuple[str, Sequence[ParamValue]]

STOPS_SEARCH = frozenset(
    {VerdictCode.LOSS_BUG, VerdictCode.INPUT_SCALE, VerdictCode.LABELS, VerdictCode.VAL_MISMATCH}
)
BACK_TO_OVERFIT = frozenset({VerdictCode.BAD_INIT, VerdictCode.DEAD, VerdictCode.VANISHING})


@dataclass(frozen=True)
class NextRound:
    """What the next refined round trains: these points, else the boxes around `survivors`."""

    points: tuple[Params, ...]
    survivors: tuple[Params, ...]
    epochs: float
    spacing: float


def remedy_for(code: VerdictCode, history: History) -> Remedy | None:
    """What this verdict asks for, in words, with the changes that this study allows."""
    if code in (VerdictCode.OK, VerdictCode.NOT_ENOUGH_EVIDENCE):
        return None
    changes = {name: list(values) for name, values in allowed_changes(code, history)}
    return Remedy(text=TEXTS[code], changes=changes)


def next_round(code: VerdictCode, history: History, proven: Params | None = None) -> NextRound | None:
    """The next refined round for this verdict; None where no free knob is left to turn. `proven`: the changes
    of the probe that proved it, which are tried first as far as the study leaves them free.
    """
    winner, carry = history.carry.winner, history.carry
    assert winner is not None
    epochs = carry.winner_epochs or history.spec.recipe.refine_epochs
    if code is VerdictCode.OK:
        return NextRound((), (winner,), epochs, carry.spacing / 2)
    if code is VerdictCode.TRAIN_LONGER:
        return NextRound(carry.survivors, carry.survivors, 2 * epochs, carry.spacing)
    changes = allowed_changes(code, history)
    family = {name for name, _ in changes}
    first = {name: value for name, value in (proven or {}).items() if name in family}
    wanted = [_free(history, first), *_singles(changes, history)]
    points = distinct(history.point(**{**winner, **change}) for change in wanted)
    tried = [point for point in points if point != winner]
    return NextRound((winner, *tried), carry.survivors, epochs, carry.spacing) if tried else None


def _free(history: History, changes: Params) -> Params:
    """Those changes that this study may make."""
    return {
        name: legal[0]
        for name, value in changes.items()
        if name in history.spec.knobs and history.free(name) and (legal := _legal(history, name, [value]))
    }


def _singles(changes: Iterable[Change], history: History) -> list[Params]:
    """One knob moved at a time; a wider model also tries neighbouring learning rates (they depend on it)."""
    found: list[Params] = []
    for name, values in changes:
        for value in values:
            found.append({name: value})
            if name in (*WIDTHS, *DEPTHS):
                rate = float(history.carry.winner["learning_rate"]) if history.carry.winner else 0.0
                rates = history.inside("learning_rate", [rate / 10**0.5])
                found += [{name: value, "learning_rate": r} for r in rates]
    return found


def allowed_changes(code: VerdictCode, history: History) -> list[Change]:
    """The verdict's knobs that are free, with the values inside their bounds that differ from the winner's."""
    winner = history.carry.winner
    wanted = CHANGES[code](history) if winner is not None and code in CHANGES else []
    allowed: list[Change] = []
    for name, values in wanted:
        if not history.free(name):
            continue
        now = history.value(name, winner)
        legal = [v for v in _legal(history, name, values) if v != now]
        if legal:
            allowed.append((name, legal))
    return allowed


def _legal(history: History, name: str, values: Sequence[ParamValue]) -> list[ParamValue]:
    axis = history.spec.space.get(name) or history.spec.knobs[name].axis
    if axis.choices is not None and any(isinstance(c, str | bool) for c in axis.choices):
        return [v for v in values if axis.contains(v)]
    return [
        history.typed(name, v)
        for v in history.inside(name, [float(v) for v in values if not isinstance(v, str)])
    ]


def _number(history: History, name: str) -> float:
    value = history.value(name, history.carry.winner)
    assert not isinstance(value, str)
    return float(value)


def _overfit(history: History) -> list[Change]:
    """The first family not yet tried: weight decay, then dropout, then label smoothing."""
    decay = _number(history, "weight_decay") or 1e-5
    families: list[Change] = [
        ("weight_decay", [decay * 3, decay * 10, decay * 30]),
        ("dropout", [0.1, 0.3, 0.5]),
        ("label_smoothing", [0.1]),
    ]
    round_ = sum(v == VerdictCode.OVERFIT for v in history.carry.verdicts)
    open_ = [f for f in families if history.free(f[0]) and _legal(history, f[0], f[1])]
    return open_[max(0, round_ - 1) :][:1]


def _underfit(history: History) -> list[Change]:
    changes: list[Change] = []
    for width in (name for name in WIDTHS if history.free(name)):
        now = int(_number(history, width))
        changes.append((width, [2 * now, 4 * now]))
    for depth in (name for name in DEPTHS if history.free(name)):
        changes.append((depth, [int(_number(history, depth)) + 1]))
    return changes


def _over_regularized(history: History) -> list[Change]:
    decay, dropout = _number(history, "weight_decay"), _number(history, "dropout")
    return [("weight_decay", [0.0, decay * 0.1, decay * 0.3]), ("dropout", [dropout / 2])]


def _plateau(history: History) -> list[Change]:
    return [("schedule", ["cosine", "linear", "step"])]


def _decay_too_early(history: History) -> list[Change]:
    return [("step_epochs", [_number(history, "step_epochs") * 2.5]), ("schedule", ["cosine"])]


def _rate(*factors: float) -> Callable[[History], list[Change]]:
    def change(history: History) -> list[Change]:
        rate = _number(history, "learning_rate")
        return [("learning_rate", [rate * factor for factor in factors])]

    return change


def _noisy(history: History) -> list[Change]:
    return [("batch_size", [2 * int(_number(history, "batch_size"))])]


CHANGES: dict[VerdictCode, Callable[[History], list[Change]]] = {
    VerdictCode.OVERFIT: _overfit,
    VerdictCode.UNDERFIT: _underfit,
    VerdictCode.OVER_REGULARIZED: _over_regularized,
    VerdictCode.PLATEAU_DECAY: _plateau,
    VerdictCode.DECAY_TOO_EARLY: _decay_too_early,
    VerdictCode.LR_TOO_HIGH: _rate(10**-0.5, 0.1),
    VerdictCode.LR_TOO_LOW: _rate(10**0.5, 10.0),
    VerdictCode.NOISY_EVAL: _noisy,
}

TEXTS: dict[VerdictCode, str] = {
    VerdictCode.LOSS_BUG: "mend the loss; no search can help",
    VerdictCode.INPUT_SCALE: "standardize the inputs (preprocessing: standardized)",
    VerdictCode.BAD_INIT: "change the initialization and fit a small sample again (step 2)",
    VerdictCode.DEAD: "start biases at zero, lower the learning rate or use leaky_relu (step 2)",
    VerdictCode.VANISHING: "use relu with kaiming initialization, or fewer layers (step 2)",
    VerdictCode.VAL_MISMATCH: "apply the training set's preprocessing to the validation set",
    VerdictCode.OVER_REGULARIZED: "less regularization: weight decay x0 to x0.3, half the dropout",
    VerdictCode.DECAY_TOO_EARLY: "cut the learning rate later, or use cosine",
    VerdictCode.LR_TOO_HIGH: "lower the learning rate; add warmup where only the start is rough",
    VerdictCode.LR_TOO_LOW: "raise the learning rate",
    VerdictCode.UNDERFIT: "a wider or deeper model, less regularization",
    VerdictCode.LABELS: "look at the labels, and for a leak between training inputs and labels",
    VerdictCode.OVERFIT: "more regularization: weight decay, dropout, label smoothing; more data",
    VerdictCode.PLATEAU_DECAY: "decay the learning rate from where the loss stopped falling",
    VerdictCode.TRAIN_LONGER: "train twice as long at the same learning rate",
    VerdictCode.NOISY_EVAL: "a larger validation set or larger batches",
}
