"""What follows in a study: asked after everything that may have ended its last open trial. Idempotent."""

from collections.abc import Iterable
from datetime import datetime

from hpsearch.errors import Unavailable
from hpsearch.recipe import plan as recipe
from hpsearch.recipe import ranking, trial_examination
from hpsearch.records import (
    StageId,
    StageKind,
    StageState,
    StudyId,
    StudyState,
    TrialId,
    TrialPlan,
    TrialState,
    Verdict,
)
from hpsearch.samplers.methods import PLAIN
from hpsearch.service import budgets, moves, plain
from hpsearch.spec import StudySpec
from hpsearch.store import checkpoints, events, listing, stages, studies, trials
from hpsearch.store.engine import Transaction, allow_long_statements, savepoint
from hpsearch.store.study_row import StudyRow
from hpsearch.vocabulary import VerdictCode

MAX_DECISIONS = 100  # in a row without a trial: far beyond any recipe, short of an endless loop


def advance(tx: Transaction, study_id: StudyId, *, now: datetime) -> None:
    """Plan, judge or finish, until there are open trials to wait for. Does nothing where there are.

    Locks the study's row first, so that two last results that arrive together can't each see the other's
    trial still running. Planning that raises fails the study with the reason; what came before it stays.
    A study whose spec this version can't read is left as it is.
    """
    study = studies.lock(tx, study_id)
    if study is None:
        return
    if study.state is StudyState.STOPPING and study.running == 0:
        moves.move_study(tx, study, StudyState.STOPPED, reason=study.study.reason, now=now)
    if study.state is not StudyState.RUNNING:
        return
    is_open = study.waiting + study.running > 0
    if is_open and not study.limited:
        return
    if not study.readable:  # of a newer server beside this one, which knows how it goes on
        return
    spec = study.spec
    if is_open:
        _stop_if_spent(tx, study, spec, now=now)
        return
    try:
        with savepoint(tx):
            if study.study.examines is not None:
                _advance_examination(tx, study, study.study.examines, spec, now=now)
            elif spec.method in PLAIN:
                _advance_plain(tx, study, spec, now=now)
            else:
                _advance_recipe(tx, study, spec, now=now)
    except Unavailable:
        raise
    except Exception as error:  # a bug of a planner's must not undo the result that woke it
        reason = f"planning failed: {type(error).__name__}: {error}"
        moves.end_running_stage(tx, study, StageState.FAILED, now=now)
        moves.move_study(tx, study, StudyState.FAILED, reason=reason[:1000], now=now)


def go_on(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    """A suspended study runs again, with the trials that its stop had cancelled."""
    moves.move_study(tx, study, StudyState.RUNNING, now=now)
    swept = trials.ids_in(tx, study.id, TrialState.CANCELLED, resumable=True)
    moves.wait_again(tx, study, swept, TrialState.CANCELLED)
    advance(tx, study.id, now=now)


def _stop_if_spent(tx: Transaction, study: StudyRow, spec: StudySpec, *, now: datetime) -> None:
    """No new trials once the budget is used up; those under way finish.

    A trial that was started is paid for: while there is time it may run again after a loss, and the study
    goes on until none of these is open.
    """
    why = budgets.spent(tx, study, spec, now=now)
    if why is None or study.waiting == 0:
        return
    late = budgets.time_spent(tx, study, spec, now=now) is not None
    message = f"the study stopped: {why}"
    count = moves.cancel_waiting(tx, study, message, resumable=True, unstarted=not late, now=now)
    if late and study.running:
        moves.move_study(tx, study, StudyState.STOPPING, reason=why, now=now)
    elif count == study.waiting + study.running:
        moves.move_study(tx, study, StudyState.STOPPED, reason=why, now=now)


def _advance_plain(tx: Transaction, study: StudyRow, spec: StudySpec, *, now: datetime) -> None:
    """Plain methods plan all their points at once, then end."""
    known = stages.of_study(tx, study.id)
    if not known:
        stage_id = _open(tx, study, StageKind.SEARCH, 0, now=now)
        if _plan(tx, study, stage_id, PLAIN[spec.method](spec), now=now):
            return
    why = budgets.spent(tx, study, spec, now=now)
    if why is not None and trials.ids_in(tx, study.id, TrialState.CANCELLED, resumable=True):
        moves.move_study(tx, study, StudyState.STOPPED, reason=why, now=now)
        return
    plain.finish(tx, study, now=now)


def _advance_recipe(tx: Transaction, study: StudyRow, spec: StudySpec, *, now: datetime) -> None:
    """Apply the recipe's decisions until one has planned trials or finished the study."""
    finished = trials.of_study(tx, study.id)
    for _ in range(MAX_DECISIONS):
        known = stages.of_study(tx, study.id)
        decision = recipe.decide(spec, known, finished)
        running = next((s.id for s in reversed(known) if s.state is StageState.RUNNING), None)
        if decision.close is not None:
            _close(tx, study, decision.close, now=now)
            running = None
        if decision.open is not None:
            running = _open(tx, study, decision.open.kind, decision.open.round, now=now)
        if decision.trials:
            why = budgets.spent(tx, study, spec, now=now)
            if why is not None:
                moves.move_study(tx, study, StudyState.STOPPED, reason=why, now=now)
                return
            if running is None:
                raise ValueError("trials were planned while no stage is running")
            if _plan(tx, study, running, decision.trials, now=now):
                return
        if decision.finish is not None:
            # The winner of many single runs is lucky: the study's value is its answer's, on fresh seeds.
            for answer in ranking.best(spec, known, finished, 1):
                studies.change(tx, study.id, best_value=answer.value)
            moves.move_study(tx, study, decision.finish.state, reason=decision.finish.reason, now=now)
            return
        if decision.close is None and decision.open is None:
            raise ValueError("the recipe waits, but no trial is open")
    raise ValueError(f"the recipe made {MAX_DECISIONS} decisions without planning a trial")


def _advance_examination(
    tx: Transaction, study: StudyRow, trial_id: TrialId, spec: StudySpec, *, now: datetime
) -> None:
    """Plan the probes that the examination asks for, or store its verdict."""
    known = stages.of_study(tx, study.id)
    stage_id = known[-1].id if known else _open(tx, study, StageKind.CURVES, 0, now=now)
    run = trials.get(tx, trial_id)
    if run is None or study.parent_id is None:
        raise ValueError(f"trial {trial_id} is gone")
    found = trial_examination.step(
        spec,
        run,
        listing.checks(tx, study.parent_id),
        trials.of_study(tx, study.id),
        resumable=checkpoints.newest(tx, run.id, "last") is not None,
    )
    if isinstance(found, Verdict):
        state = StageState.PASSED if found.code is VerdictCode.OK else StageState.WARNED
        close = recipe.StageClose(stage_id=stage_id, state=state, verdict=found, carried={})
        _close(tx, study, close, now=now)
        moves.move_study(tx, study, StudyState.COMPLETED, now=now)
    elif isinstance(found, recipe.Finish):
        moves.end_running_stage(tx, study, StageState.FAILED, now=now)
        moves.move_study(tx, study, found.state, reason=found.reason, now=now)
    elif (why := budgets.spent(tx, study, spec, now=now)) is not None:
        moves.move_study(tx, study, StudyState.STOPPED, reason=why, now=now)
    elif not _plan(tx, study, stage_id, found, now=now):
        raise ValueError("the examination waits, but no trial is open")


def _open(tx: Transaction, study: StudyRow, kind: StageKind, number: int, *, now: datetime) -> StageId:
    stage_id = stages.insert_stage(tx, study.id, kind, round_number=number, now=now)
    data = {"stage_id": stage_id, "kind": kind, "round": number}
    events.add(tx, study.id, "stage_opened", data, now=now)
    return stage_id


def _close(tx: Transaction, study: StudyRow, close: recipe.StageClose, *, now: datetime) -> None:
    stages.close(tx, close.stage_id, close.state, verdict=close.verdict, carried=close.carried, now=now)
    data = {
        "stage_id": close.stage_id,
        "state": close.state,
        "code": close.verdict.code,
        "text": close.verdict.text,
    }
    events.add(tx, study.id, "stage_closed", data, now=now)


def _plan(
    tx: Transaction, study: StudyRow, stage_id: StageId, plans: Iterable[TrialPlan], *, now: datetime
) -> int:
    """Store the plans that are new; returns how many."""
    allow_long_statements(tx)
    count = trials.insert_plans(tx, study.id, stage_id, plans, first_number=study.planned, now=now)
    if count:
        stages.add_trials(tx, stage_id, count)
        studies.count_trials(tx, study.id, {TrialState.WAITING: count}, planned=count)
        events.add(tx, study.id, "trials_planned", {"stage_id": stage_id, "count": count}, now=now)
    return count
