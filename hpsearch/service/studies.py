"""Studies: made, listed, steered, judged. `key` is a study's name or id everywhere."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from hpsearch.errors import Conflict, InvalidInput, Problem, StudyExists
from hpsearch.recipe import plan
from hpsearch.records import Event, StageState, Study, StudyId, StudyState, TrialState
from hpsearch.service import bests, lookup, moves, paging, rows
from hpsearch.service.advance import advance, go_on
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.spec_changes import changed_keys
from hpsearch.spec_size import check_size
from hpsearch.store import catalogue, examinations, studies, trials
from hpsearch.store import events as event_rows
from hpsearch.store import stages as stage_rows
from hpsearch.store.engine import Database, Transaction, allow_long_statements, retried
from hpsearch.store.study_row import StudyRow
from hpsearch.wire import BestList, Fork, StageList, StudyPage, StudyPatch

SUSPENDED = (StudyState.PAUSED, StudyState.STOPPING, StudyState.STOPPED)


@retried
def create(db: Database, spec: StudySpec, *, now: datetime) -> tuple[Study, bool]:
    """(the study, whether it is new). The same name and spec is the same study, resumed if it was paused or
    stopped. Raises StudyExists for the same name with another spec, naming the changed keys, and InvalidInput for
    one that no worker could take or that is too large."""
    if spec.resources.gpus > 1:
        detail = f"a worker's slot has one GPU; {spec.resources.gpus} for one trial are not supported"
        raise InvalidInput(detail, problems=[Problem("/resources/gpus", detail)])
    if spec.method == "recipe":
        plan.load()
    with db.write() as tx:
        known = studies.find(tx, spec.name, lock=True)
        if known is not None and known.study.name == spec.name:
            _check_same(known, spec)
            if known.state in SUSPENDED:
                _steered(tx, known, _resume, now=now)
            return _current(tx, known.id), False
        check_size(spec)  # one that is known goes on, whatever an older version took
        study_id = studies.insert_study(tx, spec, now=now)
        event_rows.add(tx, study_id, "study_changed", {"state": StudyState.RUNNING, "reason": ""}, now=now)
        advance(tx, study_id, now=now)
        return _current(tx, study_id), True


def page(
    db: Database, *, state: StudyState | None = None, page_size: int = 50, page_token: str | None = None
) -> StudyPage:
    """Newest first."""
    limit = paging.check_size(page_size)
    before = paging.position(page_token, "studies", state)
    with db.read() as tx:
        found, total = catalogue.page(
            tx, state=state, before=None if before is None else StudyId(before), limit=limit + 1
        )
    shown = found[:limit]
    following = paging.token(shown[-1].id, "studies", state) if len(found) > limit else None
    return StudyPage(studies=tuple(shown), total=total, next_page_token=following)


def get(db: Database, key: str) -> Study:
    """Raises NotFound with the nearest name."""
    with db.read() as tx:
        return lookup.study(tx, key).study


@retried
def patch(db: Database, key: str, patch: StudyPatch) -> Study:
    """Change what may change while a study runs; the rest of the spec is what makes it this study."""
    with db.write() as tx:
        study = lookup.study(tx, key, lock=True)
        changed: dict[str, Any] = {}
        if patch.description is not None:
            changed["spec"] = {**study.study.spec, "description": patch.description}
        if patch.priority is not None:
            changed["priority"] = patch.priority
        if changed:
            studies.change(tx, study.id, **changed)
        return _current(tx, study.id)


@retried
def pause(db: Database, key: str, *, now: datetime) -> Study:
    """No new trials until it is resumed; those under way finish."""
    return _steer(db, key, _pause, now=now)


@retried
def resume(db: Database, key: str, *, now: datetime) -> Study:
    """A paused or stopped study goes on; trials that were cancelled by the stop wait again."""
    return _steer(db, key, _resume, now=now)


@retried
def stop(db: Database, key: str, *, now: datetime) -> Study:
    """Waiting trials are cancelled; those under way finish, then the study is stopped."""
    return _steer(db, key, _stop, now=now)


@retried
def cancel(db: Database, key: str, *, now: datetime) -> Study:
    """The study ends for good; workers are told to kill what is under way."""
    return _steer(db, key, _cancel, now=now)


@retried
def retry(db: Database, key: str, *, now: datetime) -> Study:
    """Failed trials wait again with a clean account; an ended study runs again, and so does its last stage
    if it failed or gets trials back."""
    return _steer(db, key, _retry, now=now)


def fork(db: Database, key: str, body: Fork, *, now: datetime) -> tuple[Study, bool]:
    """(a study like another under a new name, whether it is new). Raises InvalidInput where the changes make
    no spec, StudyExists where the name belongs to another."""
    with db.read() as tx:
        spec = lookup.study(tx, key).study.spec
    return create(db, parse_spec(merged(spec, {**body.changes, "name": body.name})), now=now)


def merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7396): objects are merged, null removes, all else replaces."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result


@retried
def delete(db: Database, key: str) -> list[StudyId]:
    """Remove the study, its examinations and all that belongs to them but their files, which are listed as left over;
    returns their ids.

    Raises Conflict while trials of one of them are under way.
    """
    with db.write() as tx:
        study = lookup.study(tx, key, lock=True)
        family = [study, *examinations.of_study(tx, study.id, lock=True)]
        for one in family:
            if one.state in (StudyState.RUNNING, StudyState.STOPPING) or one.running:
                raise Conflict(
                    f"study {one.study.name!r} is {one.state} with {one.running} trials under way",
                    hint=f"`hpsearch study cancel {one.study.name}` first",
                )
        allow_long_statements(tx)
        return studies.delete_study(tx, study.id)


def stages(db: Database, key: str) -> StageList:
    """In the order they began."""
    with db.read() as tx:
        return StageList(stages=tuple(stage_rows.of_study(tx, lookup.study(tx, key).id)))


def best(db: Database, key: str, n: int) -> BestList:
    """The best n points, the winner with what can't be told apart from it; empty until one has a value."""
    with db.read() as tx:
        return bests.best(tx, lookup.study(tx, key), n)


def events(db: Database, key: str, *, after: int, limit: int) -> list[Event]:
    """At most `limit` events with ids above `after`, in order."""
    with db.read() as tx:
        return event_rows.after(tx, lookup.study(tx, key).id, after, limit)


def last_event(db: Database, key: str) -> int:
    """The id of the newest event: what `events` would go on after."""
    with db.read() as tx:
        return event_rows.newest(tx, lookup.study(tx, key).id)


def export(db: Database, key: str) -> Iterator[dict[str, Any]]:
    """Every trial as a row of `interface.md`'s export, by number; read in pages, so it may be long."""
    return rows.export(db, key)


# --- the moves ---------------------------------------------------------------------------------------


def _steer(db: Database, key: str, move: Callable[..., None], *, now: datetime) -> Study:
    with db.write() as tx:
        study = lookup.study(tx, key, lock=True)
        _steered(tx, study, move, now=now)
        return _current(tx, study.id)


def _steered(tx: Transaction, study: StudyRow, move: Callable[..., None], *, now: datetime) -> None:
    """The study makes the move, and those of its examinations that it concerns with it."""
    move(tx, study, now=now)
    for examination in examinations.of_study(tx, study.id, lock=True):
        if examination.state in FOLLOW.get(move, ()):
            move(tx, examination, now=now)


def _pause(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    if study.state is not StudyState.PAUSED:
        moves.move_study(tx, study, StudyState.PAUSED, now=now)


def _resume(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    if study.state is StudyState.RUNNING:
        return
    if study.state not in SUSPENDED:
        raise _not_resumable(study)
    go_on(tx, study, now=now)


def _stop(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    if study.state in (StudyState.STOPPING, StudyState.STOPPED):
        return
    state = StudyState.STOPPING if study.running else StudyState.STOPPED
    moves.move_study(tx, study, state, reason="stopped by the user", now=now)
    moves.cancel_waiting(tx, study, "the study was stopped", resumable=True, now=now)


def _cancel(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    if study.state is StudyState.CANCELLED:
        return
    moves.move_study(tx, study, StudyState.CANCELLED, reason="cancelled by the user", now=now)
    moves.cancel_waiting(tx, study, "the study was cancelled", resumable=False, now=now)
    moves.end_running_stage(tx, study, StageState.SKIPPED, now=now)


def _retry(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    failed = trials.ids_in(tx, study.id, TrialState.FAILED)
    if study.state is StudyState.COMPLETED and not failed:
        return
    if study.state is not StudyState.RUNNING:
        moves.move_study(tx, study, StudyState.RUNNING, now=now)
    moves.wait_again(tx, study, failed, TrialState.FAILED, forgive=True)
    swept = trials.ids_in(tx, study.id, TrialState.CANCELLED, resumable=True)
    moves.wait_again(tx, study, swept, TrialState.CANCELLED)
    moves.reopen_last_stage(tx, study, has_trials=bool(failed), now=now)
    advance(tx, study.id, now=now)


# In which states an examination follows its study.
FOLLOW: Mapping[Callable[..., None], tuple[StudyState, ...]] = {
    _pause: (StudyState.RUNNING,),
    _resume: SUSPENDED,
    _stop: (StudyState.RUNNING, StudyState.PAUSED),
    _cancel: (StudyState.RUNNING, *SUSPENDED),
}


def _not_resumable(study: StudyRow) -> Conflict:
    return Conflict(
        f"study {study.study.name!r} is {study.state} and can't be resumed",
        hint=f"`hpsearch study retry {study.study.name}` runs failed trials again",
    )


def _check_same(known: StudyRow, spec: StudySpec) -> None:
    if known.digest == spec.digest:
        return
    changed = changed_keys(known.spec, spec)
    raise StudyExists(
        f"study {spec.name!r} exists with another spec; changed: {', '.join(changed)}",
        hint=f"keep both with --name, or start afresh with --replace (or `hpsearch study delete {spec.name}`)",
        problems=[Problem("/" + name.replace(".", "/"), f"{name} differs") for name in changed],
    )


def _current(tx: Transaction, study_id: StudyId) -> Study:
    return lookup.study_by_id(tx, study_id).study
