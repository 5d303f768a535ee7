"""What a probe proves: whether its change helps, and of several that help which is the cause."""

from collections.abc import Sequence

from hpsearch.recipe.case import Case
from hpsearch.recipe.effects import DECISIVE, TRAIN_LOSS_SHARE, VAL_GAIN, Effect
from hpsearch.recipe.rates import LARGE_UPDATE
from hpsearch.recipe.suspicion import Suspicion
from hpsearch.vocabulary import VerdictCode

EARLY_LEAD = 0.03  # of all there is to gain, at the same epoch
LENGTH_SLOPE = 0.06  # of the validation figure that half of the run's length costs
LESS_TRAIN_LOSS = 0.03
MUCH_MORE = 3.0  # times what any other change does: then a size is the cause although the run still falls
CUT_NEARLY = 0.25
NEARLY = 0.6  # of the best gain: a more specific cause that gets so far is the cause
BLOCKING = (VerdictCode.VANISHING, VerdictCode.DEAD)  # no size helps behind them, only a way around
STRONG_GAIN = 0.015  # that proves what step 1's numbers already say
# What a run that learned must gain at its end, of all that there is to gain. Planted faults gained 0.033 at least,
# runs of well chosen rates 0.024 at most.
NOTABLE_GAIN = 0.025
LONGER_GAIN = 0.02  # by some epochs more; a run of few epochs may gain less from one or two
# Of a decay: any run at a constant rate gains a little, healthy ones 0.002 to 0.012, and up to 0.019 where no more
# than the loss tells.
SETTLED_GAIN, SETTLED_LOSS = 0.015, 0.02


def helps(case: Case, suspicion: Suspicion, found: Effect, longer: Effect | None) -> bool:
    """Whether the probe proves the suspicion: better than the run ever got, or far ahead of it so early."""
    if suspicion.halves:
        slope = LENGTH_SLOPE / 2 if case.short else LENGTH_SLOPE
        return found.lost > max(slope, 2 * case.noise)
    at_end = found.helps_validation and (found.helps_training or case.fitted)
    notable = at_end and _is_notable(case, suspicion, found)
    lead = STRONG_GAIN if suspicion.strong else DECISIVE
    ahead = found.helps_early() and found.early_gain >= lead and found.gain > -0.03
    match suspicion.code:
        case VerdictCode.LR_TOO_LOW | VerdictCode.UNDERFIT:
            # Faster is not better: it must pass in an eighth of the time what the run has reached in all.
            return notable or (ahead and not case.learned)
        case VerdictCode.PLATEAU_DECAY:
            # More steps at the same rate must not do as well; where steps are large, they do at all events.
            large = case.feature("update_ratio_median") > LARGE_UPDATE
            by = LESS_TRAIN_LOSS if large else TRAIN_LOSS_SHARE
            enough = SETTLED_GAIN if found.gains_points else SETTLED_LOSS
            return at_end and found.gain >= enough and (longer is None or found.beats(longer, by))
        case VerdictCode.TRAIN_LONGER:
            return _past_swings(case, found) and _longer_helps(case, found, at_end=at_end)
        case VerdictCode.OVER_REGULARIZED:
            return notable
        case _:
            # A bad start shows in validation, at the same epoch and still at the end, however training fares.
            better = suspicion.strong and found.helps_validation and found.validation_leads
            far_ahead = suspicion.strong and not case.fitted and found.early_gain >= DECISIVE
            return notable or ahead or better or (far_ahead and found.helps_early())


def _is_notable(case: Case, suspicion: Suspicion, found: Effect) -> bool:
    """More than any change does to a healthy run. What step 1's numbers speak for, a run that learned nothing, and
    half a run that is ahead of all of one that was cut early have less to show.
    """
    if suspicion.strong or not case.learned or suspicion.code is VerdictCode.DECAY_TOO_EARLY:
        return True
    # A lower rate need not pass the best of the swings, which it takes away.
    steadier = suspicion.code is VerdictCode.LR_TOO_HIGH
    return found.gain >= NOTABLE_GAIN and (steadier or _past_swings(case, found))


def _past_swings(case: Case, found: Effect) -> bool:
    """A run at a high rate may end on a bad swing: what helps must pass the best that it had."""
    return found.after.val_skill >= case.best_val_skill + VAL_GAIN


def _longer_helps(case: Case, found: Effect, *, at_end: bool) -> bool:
    if case.short:
        return at_end or (found.helps_validation and found.gain >= LONGER_GAIN)
    return at_end and found.helps_clearly and found.gain >= LONGER_GAIN


def strength(found: Effect) -> float:
    """What the change is worth; a run of half the length by what it lost."""
    if not found.probe.changes and not found.probe.continues:
        return found.lost
    return max(found.gain, 0.5 * found.early_gain)


def cause(
    case: Case, suspects: Sequence[Suspicion], helping: Sequence[tuple[Suspicion, Effect]]
) -> tuple[Suspicion, Effect]:
    """Of the changes that help. Partners beside a model also do what a sick model can't, so more capacity is
    the cause only where the run has come to rest and nothing in its start is wrong.
    """
    size = [(s, e) for s, e in helping if s.code is VerdictCode.UNDERFIT]
    sick = next((s for s in suspects if s.strong), None)
    if len(size) == len(helping):
        blocked = sick is not None and (not case.learned or sick.code in BLOCKING)
        return (sick, size[0][1]) if sick is not None and blocked else size[0]
    others = [pair for pair in helping if pair not in size]
    much = size and strength(size[0][1]) > MUCH_MORE * max(strength(e) for _, e in others)
    if sick is not None or (case.still_falling and not much):
        helping = others
    most = max(strength(e) for _, e in helping)

    def enough(suspicion: Suspicion) -> float:
        # A higher rate makes up for what an early cut took away, and not the other way round.
        share = CUT_NEARLY if suspicion.code is VerdictCode.DECAY_TOO_EARLY else NEARLY
        return min(share * most, most)

    return next((s, e) for s, e in helping if strength(e) >= enough(s))


def slower(
    case: Case, tried: Sequence[tuple[Suspicion, Effect]], helping: Sequence[tuple[Suspicion, Effect]]
) -> tuple[Suspicion, Effect] | None:
    """A run at rest that a decay helps had too high a rate all along, unless that rate made more of the start
    than a lower one does.
    """
    if case.still_falling or not any(s.code is VerdictCode.PLATEAU_DECAY for s, _ in helping):
        return None
    return next(
        (
            (s, e)
            for s, e in tried
            if s.code is VerdictCode.LR_TOO_HIGH
            and (e.early_gain > EARLY_LEAD or (e.helps_validation and e.early_gain > 0))
        ),
        None,
    )
