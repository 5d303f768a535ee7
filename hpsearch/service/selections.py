"""What is done to several chosen trials at once, and the one sentence that says how it went."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.records import Record, Study, Trial, TrialId, TrialState
from hpsearch.service import clones, lookup, trials
from hpsearch.store import trials as trial_rows
from hpsearch.store.engine import Database
from hpsearch.wire import Clone

Action = Literal["stop", "retry", "clone"]
VERBS: Mapping[Action, str] = {"stop": "Stopping", "retry": "Retrying", "clone": "Cloning"}
# In which states a trial can be stopped and retried.
MOVES: Mapping[TrialState, tuple[Action, ...]] = {
    TrialState.WAITING: ("stop",),
    TrialState.RUNNING: ("stop",),
    TrialState.FAILED: ("retry",),
    TrialState.CANCELLED: ("retry",),
}
MOST = 500
MOST_CLONES = 12  # each is a study
NAMED = 6  # trials that the sentence names by number


class ActionResult(Record):
    """`refused`: the trials that nothing was done to. `studies`: those that clones are trained in, by name."""

    text: str
    refused: tuple[TrialId, ...]
    studies: tuple[str, ...] = ()


def act(db: Database, key: str, action: Action, ids: Sequence[TrialId], *, now: datetime) -> ActionResult:
    """Do it to those of a study's trials that it can be done to. Each by itself: what one refuses keeps no other.

    Raises InvalidInput for too many, NotFound where the study is unknown or one of the trials isn't its own.
    """
    most = MOST_CLONES if action == "clone" else MOST
    if len(ids) > most:
        raise InvalidInput(f"{len(ids)} trials are chosen; {action} at most {most} at once")
    study, chosen = _chosen(db, key, ids)
    refused: dict[str, list[Trial]] = {}
    made: list[str] = []
    for trial in chosen:
        why = _why_not(study, trial, action)
        if why is None:
            try:
                made += _do(db, trial.id, action, now=now)
                continue
            except HpsearchError as error:
                why = f": {error}"
        refused.setdefault(why, []).append(trial)
    left = tuple(trial.id for listed in refused.values() for trial in listed)
    return ActionResult(text=told(action, len(chosen), refused), refused=left, studies=tuple(made))


def _chosen(db: Database, key: str, ids: Sequence[TrialId]) -> tuple[Study, list[Trial]]:
    with db.read() as tx:
        study = lookup.study(tx, key).study
        found = trial_rows.of_ids(tx, ids)
        for trial_id in ids:
            if trial_id not in found or found[trial_id].study_id != study.id:
                raise lookup.no_trial(trial_id)
    return study, sorted(found.values(), key=lambda trial: trial.number)


def _why_not(study: Study, trial: Trial, action: Action) -> str | None:
    """How the sentence goes on after `trial 3`, where nothing can be done to it."""
    if action == "clone":
        why = clones.why_not(study, trial)
        return None if why is None else f": {why}"
    return None if action in MOVES.get(trial.state, ()) else str(trial.state)


def _do(db: Database, trial_id: TrialId, action: Action, *, now: datetime) -> list[str]:
    """The names of the studies that it made."""
    match action:
        case "stop":
            trials.stop(db, trial_id, now=now)
        case "retry":
            trials.retry(db, trial_id, now=now)
        case "clone":
            return [clones.clone(db, trial_id, Clone(), now=now)[0].name]
    return []


def told(action: Action, count: int, refused: Mapping[str, Sequence[Trial]]) -> str:
    """`Stopping 2 of 4 trials; trials 3 and 5 are completed.`"""
    done = count - sum(map(len, refused.values()))
    share = str(count) if done == count else f"{done or 'none'} of {count}"
    said = f"{VERBS[action]} {share} trial{'s' * (count != 1)}"
    return "; ".join([said, *(_group(why, listed) for why, listed in refused.items())]) + "."


def _group(why: str, listed: Sequence[Trial]) -> str:
    several = len(listed) > 1
    subject = f"trial{'s' * several} {_numbers([trial.number for trial in listed])}"
    return f"{subject}{why}" if why.startswith(":") else f"{subject} {'are' if several else 'is'} {why}"


def _numbers(numbers: Sequence[int]) -> str:
    named = [str(number) for number in numbers[:NAMED]]
    if len(numbers) > NAMED:
        return f"{', '.join(named)} and {len(numbers) - NAMED} more"
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
