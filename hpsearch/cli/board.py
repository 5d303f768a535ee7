"""The live picture of a study under way: a card per finished stage, a bar for the one that runs."""

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hpsearch.cli import show
from hpsearch.eta import Eta, words
from hpsearch.records import (
    FINISHED_STUDY_STATES,
    OPEN_TRIAL_STATES,
    Stage,
    StageId,
    StageState,
    Study,
)

if TYPE_CHECKING:
    from hpsearch.client import StudyHandle

POLL_SECONDS = 0.25
ETA_SECONDS = 1.0  # between two questions for the time left
IDLE_SECONDS = 5.0  # nothing runs for so long though trials wait: say why


def follow(
    handle: "StudyHandle",
    console: Console,
    *,
    check: Callable[[], None] = lambda: None,
    idle: Callable[[], str] = lambda: "",
    clock: Callable[[], float] = time.monotonic,
) -> Study:
    """Show the study on `console` until it is finished, and return its record then.

    `check` is called at each look and raises where going on is pointless; `idle` says why nothing runs.
    """
    with Board(console, clock) as board:
        while True:
            check()
            study = handle.record()
            board.update(study, handle.stages())
            if board.wants_eta and study.state not in FINISHED_STUDY_STATES:
                board.take_eta(handle.eta())
            if study.state in FINISHED_STUDY_STATES:
                return study
            if board.idle_seconds > IDLE_SECONDS:
                board.say_once(idle())
            time.sleep(POLL_SECONDS)


class Board:
    """What is on the screen. On a terminal the last lines move; elsewhere only cards are printed."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._shown: set[StageId] = set()
        self._started: dict[StageId, float] = {}
        self._busy_at = clock()
        self._eta = Eta()
        self._eta_at = -math.inf
        self._said: set[str] = set()
        self._spinner = Spinner("dots")
        self._live = Live(console=console, transient=True, refresh_per_second=8, auto_refresh=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    @property
    def idle_seconds(self) -> float:
        """How long trials have waited while none ran."""
        return self._clock() - self._busy_at

    @property
    def wants_eta(self) -> bool:
        """Whether it is time to ask for the time left again; never where nothing moves."""
        return self._live.is_started and self._clock() - self._eta_at >= ETA_SECONDS

    def take_eta(self, eta: Eta) -> None:
        """What the next pictures say of the time left."""
        self._eta, self._eta_at = eta, self._clock()

    def say_once(self, text: str) -> None:
        if text and text not in self._said:
            self._said.add(text)
            self._console.print(Text(text, style="yellow"), soft_wrap=True)

    def update(self, study: Study, stages: Sequence[Stage]) -> None:
        """Print the cards of stages that have ended since the last call, and redraw the bar."""
        now = self._clock()
        if study.trial_counts.get(OPEN_TRIAL_STATES[1], 0) or not study.trial_counts.get(
            OPEN_TRIAL_STATES[0], 0
        ):
            self._busy_at = now
        for stage in stages:
            self._started.setdefault(stage.id, now)
            if stage.state is not StageState.RUNNING and stage.id not in self._shown:
                self._shown.add(stage.id)
                self._print(stage)
        if self._live.is_started:
            self._live.update(self._moving(study, stages, now))

    def _print(self, stage: Stage) -> None:
        self._console.print(show.card(stage), soft_wrap=True)
        remedy = show.remedy(stage)
        if remedy is not None:
            self._console.print(remedy, soft_wrap=True)

    def _moving(self, study: Study, stages: Sequence[Stage], now: float) -> RenderableType:
        running = [stage for stage in stages if stage.state is StageState.RUNNING]
        if not running:
            return Text("")
        stage = running[-1]
        done, total = progress(study, stages, stage)
        elapsed = now - self._started[stage.id]
        row = Table.grid(padding=(0, 1))
        row.add_row(
            self._spinner,
            Text(show.title(stage), style="bold"),
            ProgressBar(total=max(total, 1), completed=done, width=30),
            Text(f"{done}/{total} trials"),
            Text(", ".join(filter(None, (f"{elapsed:.0f} s", words(self._eta)))), style="dim"),
        )
        if study.best_value is None:
            return row
        best = f"best so far: {study.objective_metric} {show.number(study.best_value)}"
        return Group(row, Text(f"  {best}", style="dim"))


def progress(study: Study, stages: Sequence[Stage], stage: Stage) -> tuple[int, int]:
    """(ended, planned) trials of the running stage: those of the study less the closed stages' own."""
    ended = sum(n for state, n in study.trial_counts.items() if state not in OPEN_TRIAL_STATES)
    before = sum(other.trials for other in stages if other.id != stage.id)
    return min(max(ended - before, 0), stage.trials), stage.trials
