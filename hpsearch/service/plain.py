"""How a grid or random study ends: one stage, judged by whether its points have results."""

from datetime import datetime

from hpsearch.records import StageState, StudyState, TrialState, Verdict
from hpsearch.service import moves
from hpsearch.store import events, stages, trials
from hpsearch.store.engine import Transaction
from hpsearch.store.study_row import StudyRow
from hpsearch.vocabulary import VerdictCode


def finish(tx: Transaction, study: StudyRow, *, now: datetime) -> None:
    """Close the stage `search` and end the study: failed only where no point has a result."""
    counts = study.study.trial_counts
    results = counts[TrialState.COMPLETED] + counts[TrialState.DIVERGED] + counts[TrialState.PRUNED]
    parts = [f"{counts[state]} {state}" for state in TrialState if counts[state]]
    text = f"{study.planned} trials: {', '.join(parts)}" if parts else "no trials"
    reason = ""
    if results < study.planned:
        failure = trials.first_failure(tx, study.id)
        reason = (
            text if failure is None else f"{text}; trial {failure.number}: {_first_line(failure.message)}"
        )
    if results == study.planned:
        verdict = Verdict(code=VerdictCode.OK, text=text, confidence=1.0)
        _close(tx, study, StageState.PASSED, verdict, now=now)
    else:
        verdict = Verdict(code=VerdictCode.NOT_ENOUGH_EVIDENCE, text=reason, confidence=1.0)
        _close(tx, study, StageState.WARNED if results else StageState.FAILED, verdict, now=now)
    none = results == 0 and counts[TrialState.FAILED] > 0
    state = StudyState.FAILED if none or study.planned == 0 else StudyState.COMPLETED
    moves.move_study(tx, study, state, reason=reason, now=now)


def _close(tx: Transaction, study: StudyRow, state: StageState, verdict: Verdict, *, now: datetime) -> None:
    for stage in stages.of_study(tx, study.id):
        if stage.state is StageState.RUNNING:
            stages.close(tx, stage.id, state, verdict=verdict, carried={}, now=now)
            data = {"stage_id": stage.id, "state": state, "code": verdict.code, "text": verdict.text}
            events.add(tx, study.id, "stage_closed", data, now=now)


def _first_line(message: str) -> str:
    lines = message.strip().splitlines()
    return lines[0][:500] if lines else "failed"
