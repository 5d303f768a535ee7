"""Trials: listed, looked at, stopped, run again."""

from datetime import datetime

from hpsearch import curves as features
from hpsearch.errors import Conflict, IllegalMove, InvalidInput, unknown
from hpsearch.records import (
    TRIAL_MOVES,
    Checkpoint,
    Points,
    Run,
    Series,
    StageKind,
    StudyState,
    Trial,
    TrialId,
    TrialState,
    check_move,
)
from hpsearch.service import budgets, lookup, moves, paging, series
from hpsearch.service.advance import advance
from hpsearch.store import checkpoints as checkpoint_rows
from hpsearch.store import listing, studies
from hpsearch.store import metrics as metric_rows
from hpsearch.store import runs as run_rows
from hpsearch.store.engine import Database, Transaction, retried
from hpsearch.store.listing import Ranked
from hpsearch.store.study_row import StudyRow
from hpsearch.wire import Curve, CurveList, RunLog, TrialPage


def page(
    db: Database,
    key: str,
    *,
    state: TrialState | None = None,
    stage: StageKind | None = None,
    order_by: str = "number",
    page_size: int = 100,
    page_token: str | None = None,
) -> TrialPage:
    """`order_by`: a column of the allow-list, `-column` for descending. Unknown values go last."""
    order = order_by.removeprefix("-")
    if order not in listing.ORDERS:
        raise InvalidInput(unknown("order", order, listing.ORDERS))
    limit = paging.check_size(page_size)
    of = ("trials", key, state, stage, order_by)
    offset = paging.position(page_token, *of) or 0
    with db.read() as tx:
        study = lookup.study(tx, key)
        found = listing.page(
            tx,
            study.id,
            state=state,
            stage=stage,
            order=order,
            descending=order_by.startswith("-"),
            offset=offset,
            limit=limit,
        )
        total = _total(tx, study, state, stage)
    following = paging.token(offset + limit, *of) if offset + limit < total else None
    return TrialPage(trials=tuple(found), total=total, next_page_token=following)


def _total(tx: Transaction, study: StudyRow, state: TrialState | None, stage: StageKind | None) -> int:
    if stage is not None:
        return listing.count(tx, study.id, state=state, stage=stage)
    # Counting a hundred thousand rows takes longer than all the rest.
    counts = study.study.trial_counts
    return sum(counts.values()) if state is None else counts[state]


def get(db: Database, trial_id: TrialId) -> Trial:
    """Raises NotFound."""
    with db.read() as tx:
        return lookup.trial(tx, trial_id)


def metrics(db: Database, trial_id: TrialId) -> Series:
    """Every point of every metric, of the run that counts and of what it continued."""
    with db.read() as tx:
        lookup.trial(tx, trial_id)
        return series.of_trials(tx, [trial_id])[trial_id]


def runs(db: Database, trial_id: TrialId) -> list[Run]:
    """Every attempt, oldest first."""
    with db.read() as tx:
        lookup.trial(tx, trial_id)
        return run_rows.of_trial(tx, trial_id)


def log(db: Database, trial_id: TrialId) -> list[RunLog]:
    """The tail of each run's output, oldest run first."""
    with db.read() as tx:
        lookup.trial(tx, trial_id)
        return [
            RunLog(run_id=run.id, text=metric_rows.log(tx, run.id)) for run in run_rows.of_trial(tx, trial_id)
        ]


def checkpoint_list(db: Database, trial_id: TrialId) -> list[Checkpoint]:
    """The newest of each name."""
    with db.read() as tx:
        lookup.trial(tx, trial_id)
        found = [checkpoint_rows.newest(tx, trial_id, name) for name in ("best", "last")]
    return [stored.checkpoint for stored in found if stored is not None]


@retried
def stop(db: Database, trial_id: TrialId, *, now: datetime) -> Trial:
    """A waiting trial is cancelled at once; a running one once its worker has heard of it."""
    with db.write() as tx:
        study, trial = _locked(tx, trial_id)
        match trial.state:
            case TrialState.WAITING:
                moves.cancel_waiting_trial(tx, study, trial, "stopped by the user", now=now)
                advance(tx, study.id, now=now)
            case TrialState.RUNNING:
                run_rows.ask_to_stop(tx, trial.id)
            case TrialState.CANCELLED:
                pass
            case _:
                raise IllegalMove(f"trial {trial.number} of {study.study.name!r} is already {trial.state}")
        return lookup.trial(tx, trial_id)


@retried
def retry(db: Database, trial_id: TrialId, *, now: datetime) -> Trial:
    """A failed or cancelled trial waits again with a clean account; an ended study runs again for it.

    Raises Conflict where nobody would be given the trial: its study is stopped, or has spent its budget.
    """
    with db.write() as tx:
        study, trial = _locked(tx, trial_id)
        if trial.state is TrialState.WAITING:
            return trial
        check_move(
            f"trial {trial.number} of {study.study.name!r}", TRIAL_MOVES, trial.state, TrialState.WAITING
        )
        if study.state in (StudyState.STOPPING, StudyState.STOPPED):
            raise Conflict(
                f"study {study.study.name!r} is {study.state}, and its other trials would be given up",
                hint=f"resume it first: hpsearch study resume {study.study.name}",
            )
        _check_budget(tx, study, trial, now=now)
        if study.state not in (StudyState.RUNNING, StudyState.PAUSED):
            moves.move_study(tx, study, StudyState.RUNNING, now=now)
            moves.reopen_last_stage(tx, study, has_trials=True, now=now)
        moves.wait_again(tx, study, [trial.id], trial.state, forgive=True)
        return lookup.trial(tx, trial_id)


def _check_budget(tx: Transaction, study: StudyRow, trial: Trial, *, now: datetime) -> None:
    """Raises Conflict where the study's budget leaves nothing for the trial. One that ran before is paid for."""
    if not study.limited:
        return
    ask = budgets.time_spent if trial.epoch else budgets.spent
    why = ask(tx, study, study.spec, now=now)
    if why is not None:
        name = study.study.name
        raise Conflict(
            f"trial {trial.number} of {name!r} can't run again: {why}",
            hint=f"fork the study with a larger one: hpsearch study fork {name} NAME --set budget.KEY=VALUE",
        )


def curves(
    db: Database,
    key: str,
    *,
    metric: str = "val_loss",
    points: int = 200,
    top: int | None = None,
    smoothing: float = 0.0,
) -> CurveList:
    """Curves of `metric` (several separated by commas), best trials first, at most `top` of them.

    `smoothing` in [0, 1) is the memory of a moving average (0: none), taken before the curve is thinned to
    at most `points` points. Both ends of a curve are kept.
    """
    names = [name.strip() for name in metric.split(",") if name.strip()]
    with db.read() as tx:
        study = lookup.study(tx, key)
        shown = listing.ranked(tx, study.id, study.study.objective_direction, limit=top)
        whole = series.of_trials(tx, [trial.id for trial in shown], names)
    made = tuple(_curve(trial, whole[trial.id], points, smoothing) for trial in shown)
    return CurveList(metric=metric, curves=made, shown=len(made), total=study.planned)


def _curve(trial: Ranked, whole: Series, points: int, smoothing: float) -> Curve:
    return Curve(
        trial_id=trial.id,
        number=trial.number,
        state=trial.state,
        value=trial.value,
        params=trial.params,
        series={name: _thinned(one, points, smoothing) for name, one in whole.items()},
    )


def _thinned(whole: Points, points: int, smoothing: float) -> Points:
    if not smoothing and len(whole.values) <= points:
        return whole
    values = list(whole.values)
    if smoothing:
        values = features.smoothed(values, smoothing).tolist()
    kept = features.thinned(len(values), points)
    return Points(steps=tuple(whole.steps[i] for i in kept), values=tuple(values[i] for i in kept))


def _locked(tx: Transaction, trial_id: TrialId) -> tuple[StudyRow, Trial]:
    """The trial as it is under its study's lock."""
    study = studies.lock(tx, lookup.trial(tx, trial_id).study_id)
    assert study is not None
    return study, lookup.trial(tx, trial_id)
