"""The picture of a study under way."""

import io
import math
import re

import pytest
from rich.console import Console

from hpsearch.cli import show
from hpsearch.cli.board import Board, progress
from hpsearch.eta import Eta
from hpsearch.records import Remedy, StageKind, StageState, TrialState, Verdict
from hpsearch.vocabulary import VerdictCode
from tests.study_records import make_stage, make_study


def verdict(text: str, remedy: str | None = None) -> Verdict:
    advice = None if remedy is None else Remedy(text=remedy)
    return Verdict(code=VerdictCode.OK, text=text, confidence=1, remedy=advice)


def test_card_is_mark_step_and_verdict() -> None:
    stage = make_stage(
        0, StageKind.INITIAL_LOSS, verdict=verdict("initial loss 2.61, expected ln 10 = 2.303")
    )
    assert show.card(stage).plain == "✓ 1 initial loss  2.61, expected ln 10 = 2.303"


def test_later_rounds_are_numbered() -> None:
    stage = make_stage(0, StageKind.REFINE, round=2, verdict=verdict("best of 6"))
    assert show.card(stage).plain == "✓ 5 refine, round 2  best of 6"


def test_stage_that_did_not_pass_tells_its_remedy() -> None:
    failed = make_stage(0, StageKind.OVERFIT, state=StageState.FAILED, verdict=verdict("flat", "try another"))
    told = show.remedy(failed)
    assert told is not None
    assert "try another" in told.plain


def test_progress_counts_the_running_stage_alone() -> None:
    stages = [make_stage(0, StageKind.INITIAL_LOSS, trials=1), make_stage(1, StageKind.OVERFIT, trials=4)]
    study = make_study(trial_counts={TrialState.COMPLETED: 2, TrialState.DIVERGED: 1, TrialState.RUNNING: 2})
    assert progress(study, stages, stages[1]) == (2, 4)


def test_each_card_is_printed_once_and_nothing_moves_off_a_terminal() -> None:
    written = io.StringIO()
    stage = make_stage(0, StageKind.INITIAL_LOSS, verdict=verdict("fine"))
    with Board(Console(file=written, width=200), clock=lambda: 0.0) as board:
        board.update(make_study(), [stage])
        board.update(make_study(), [stage, make_stage(1, StageKind.OVERFIT, state=StageState.RUNNING)])
    assert written.getvalue() == "✓ 1 initial loss  fine\n"


def test_idle_time_counts_only_while_trials_wait_and_none_runs() -> None:
    now = [0.0]
    board = Board(Console(file=io.StringIO()), clock=lambda: now[0])
    waiting = make_study(trial_counts={TrialState.WAITING: 3})
    running = make_study(trial_counts={TrialState.WAITING: 3, TrialState.RUNNING: 1})
    for moment, study in ((10.0, waiting), (20.0, running), (25.0, waiting)):
        now[0] = moment
        board.update(study, [])
    assert board.idle_seconds == 5.0


def test_the_bar_tells_the_time_left_and_asks_for_it_once_a_second() -> None:
    now, written = [0.0], io.StringIO()
    stage = make_stage(0, StageKind.SEARCH, state=StageState.RUNNING, trials=4)
    study = make_study(trial_counts={TrialState.COMPLETED: 1, TrialState.WAITING: 3})
    console = Console(file=written, width=200, force_terminal=True)
    with Board(console, clock=lambda: now[0]) as board:
        assert board.wants_eta
        board.take_eta(Eta(seconds=200, whole=True))
        assert not board.wants_eta
        board.update(study, [stage])
        now[0] = 1.0
        assert board.wants_eta
    assert "1/4 trials 0 s, about 3 min left" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())


def test_off_a_terminal_nobody_asks_for_the_time_left() -> None:
    with Board(Console(file=io.StringIO()), clock=lambda: 0.0) as board:
        assert not board.wants_eta


@pytest.mark.parametrize(
    ("values", "blocks"), [([1.0, 2.0], "▁█"), ([1.0, math.nan], "▁×"), ([3.0, 3.0], "▁▁"), ([math.inf], "×")]
)
def test_spark_line(values: list[float], blocks: str) -> None:
    assert show.spark(values) == blocks


def test_long_curve_fits_its_width() -> None:
    assert len(show.spark([float(i) for i in range(1000)], width=48)) <= 48


def test_document_has_no_numbers_that_json_lacks() -> None:
    assert show.plain({"a": [math.nan, math.inf, -math.inf, 1.0]}) == {
        "a": ["NaN", "Infinity", "-Infinity", 1.0]
    }
