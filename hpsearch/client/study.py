"""A study, and what can be asked of it."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from hpsearch.client import events
from hpsearch.client.transport import PREFIX, Transport
from hpsearch.client.trial import TrialHandle
from hpsearch.diagnosis import DiagnosisList, TrialDiagnosis
from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.eta import Eta
from hpsearch.records import (
    FINISHED_STUDY_STATES,
    Best,
    Event,
    Stage,
    StageKind,
    Study,
    StudyState,
    TrialState,
)
from hpsearch.wire import BestList, CurveList, Fork, Importances, StageList, StudyPatch, TrialPage

PAGE = 1_000
POLL_SECONDS = 0.5
Format = Literal["csv", "jsonl"]


class StudyHandle:
    """Every method asks the server; nothing is remembered but the key, a name or id."""

    def __init__(self, transport: Transport, key: str) -> None:
        self._transport = transport
        self._key = key
        self._path = f"{PREFIX}/studies/{quote(key, safe='')}"

    def __repr__(self) -> str:
        return f"<study {self._key}>"

    def record(self) -> Study:
        """The study as it is now. Raises NotFound where it was deleted."""
        return self._transport.ask(Study, "GET", self._path)

    @property
    def name(self) -> str:
        return self.record().name

    @property
    def state(self) -> StudyState:
        """The state now: each look asks the server."""
        return self.record().state

    def best(self, n: int = 1) -> list[Best]:
        """The best n, each with what can't be told apart from it; empty until a trial has a value."""
        return list(self._transport.ask(BestList, "GET", f"{self._path}/best", params={"n": n}).best)

    def trials(
        self,
        state: TrialState | str | None = None,
        stage: StageKind | str | None = None,
        order_by: str = "number",
    ) -> Iterator[TrialHandle]:
        """All trials, fetched page by page; `order_by` is a column, `-column` for descending."""
        token: str | None = None
        while True:
            page = self._page(state, stage, order_by, token)
            for trial in page.trials:
                yield TrialHandle(self._transport, trial)
            token = page.next_page_token
            if token is None:
                return

    def _page(
        self, state: TrialState | str | None, stage: StageKind | str | None, order_by: str, token: str | None
    ) -> TrialPage:
        params = {
            "state": None if state is None else str(state),
            "stage": None if stage is None else str(stage),
            "order_by": order_by,
            "page_size": PAGE,
            "page_token": token,
        }
        return self._transport.ask(TrialPage, "GET", f"{self._path}/trials", params=params)

    def stages(self) -> list[Stage]:
        """The stages so far, in order, with their verdicts."""
        return list(self._transport.ask(StageList, "GET", f"{self._path}/stages").stages)

    def eta(self) -> Eta:
        """How long what is planned will take, or why that can't be told."""
        return self._transport.ask(Eta, "GET", f"{self._path}/eta")

    def diagnoses(self) -> list[TrialDiagnosis]:
        """Of the trials that were diagnosed by probes: what these have proved."""
        return list(self._transport.ask(DiagnosisList, "GET", f"{self._path}/diagnoses").diagnoses)

    def curves(
        self, metric: str = "val_loss", points: int = 200, top: int | None = None, smoothing: float = 0.0
    ) -> CurveList:
        """One metric of all (or the `top` best) trials, smoothed and then thinned to `points` points."""
        params = {"metric": metric, "points": points, "top": top, "smoothing": smoothing}
        return self._transport.ask(CurveList, "GET", f"{self._path}/curves", params=params)

    def events(self, after: int = 0) -> Iterator[Event]:
        """What has happened and happens, until the study is finished; survives lost connections."""
        return events.follow(self._transport, self._key, after=after)

    def wait(
        self,
        timeout: float | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Study:
        """The study once it is finished. Raises TimeoutError after `timeout` seconds."""
        deadline = None if timeout is None else monotonic() + timeout
        while (study := self.record()).state not in FINISHED_STUDY_STATES:
            if deadline is not None and monotonic() >= deadline:
                raise TimeoutError(f"study {study.name} is still {study.state} after {timeout:g} s")
            sleep(POLL_SECONDS if deadline is None else min(POLL_SECONDS, max(0.0, deadline - monotonic())))
        return study

    def pause(self) -> Study:
        """No new trials until `resume`; those under way finish."""
        return self._act("pause")

    def resume(self) -> Study:
        return self._act("resume")

    def stop(self) -> Study:
        """No new trials; those under way finish."""
        return self._act("stop")

    def cancel(self) -> Study:
        """End the study and kill what is under way."""
        return self._act("cancel")

    def retry(self) -> Study:
        """Run failed and cancelled trials again."""
        return self._act("retry")

    def fork(self, name: str, changes: Mapping[str, Any] | None = None) -> "StudyHandle":
        """A new study like this one; `changes` (a JSON merge patch of the spec) make it differ."""
        body = Fork(name=name, changes=dict(changes or {}))
        made = self._transport.ask(Study, "POST", f"{self._path}/fork", body=body)
        return StudyHandle(self._transport, made.name)

    def importances(self) -> Importances:
        """How much of the objective each parameter explains, largest first."""
        return self._transport.ask(Importances, "GET", f"{self._path}/importances")

    def patch(self, *, description: str | None = None, priority: int | None = None) -> Study:
        """Change what may change while a study runs; None leaves a thing as it is."""
        body = StudyPatch(description=description, priority=priority)
        return self._transport.ask(Study, "PATCH", self._path, body=body)

    def delete(self) -> None:
        """Remove a study that is not under way, with its trials, curves and checkpoints."""
        self._transport.send("DELETE", self._path, repeatable=False)

    def export(self, path: str | Path, format: Format | None = None) -> Path:  # noqa: A002
        """Write a row per trial to `path`, whole or not at all; the suffix says csv or jsonl."""
        target = Path(path)
        kind = format or _format_of(target)

        def once() -> Path:
            with self._transport.stream("GET", f"{self._path}/export", params={"format": kind}) as response:
                _write_whole(target, response.iter_bytes())
            return target

        return self._transport.repeated(once)

    def _act(self, action: str) -> Study:
        return self._transport.ask(Study, "POST", f"{self._path}/{action}")


def _format_of(path: Path) -> Format:
    if path.suffix == ".csv":
        return "csv"
    if path.suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    raise InvalidInput(f"can't tell the format of {path.name!r}", hint="name the file .csv or .jsonl")


def _write_whole(path: Path, chunks: Iterator[bytes]) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        temporary.replace(path)
    except OSError as error:
        raise HpsearchError(f"can't write {path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
