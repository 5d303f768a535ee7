"""A trial, and what can be asked of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from hpsearch.client import checkpoints
from hpsearch.client.transport import PREFIX, Transport
from hpsearch.diagnosis import AskDiagnosis, TrialDiagnosis
from hpsearch.records import Run, Series, Study, Trial, TrialState
from hpsearch.space import Params
from hpsearch.wire import Clone, RunLog

SERIES = TypeAdapter(Series)
RUNS = TypeAdapter(list[Run])
LOGS = TypeAdapter(list[RunLog])
POLL_SECONDS = 0.5


class TrialHandle:
    """`record` is the trial as it was when the handle was made; `refresh` fetches it anew."""

    def __init__(self, transport: Transport, record: Trial) -> None:
        self._transport = transport
        self._path = f"{PREFIX}/trials/{record.id}"
        self.record = record

    def __repr__(self) -> str:
        return f"<trial {self.record.number} (id {self.record.id}) {self.record.state}>"

    @property
    def params(self) -> Params:
        return self.record.params

    @property
    def value(self) -> float | None:
        """The objective at the best snapshot; None until the trial has ended."""
        return self.record.value

    @property
    def state(self) -> TrialState:
        return self.record.state

    def refresh(self) -> Trial:
        self.record = self._transport.ask(Trial, "GET", self._path)
        return self.record

    def metrics(self) -> Series:
        """Every point of every metric, of the run that counts."""
        return self._transport.parse(
            SERIES.validate_json, self._transport.send("GET", f"{self._path}/metrics")
        )

    def runs(self) -> list[Run]:
        """Every attempt, oldest first."""
        return self._transport.parse(RUNS.validate_json, self._transport.send("GET", f"{self._path}/runs"))

    def log(self) -> str:
        """The last 64 KiB of the latest attempt's output; empty where there is none."""
        logs = self._transport.parse(LOGS.validate_json, self._transport.send("GET", f"{self._path}/logs"))
        return max(logs, key=lambda log: log.run_id).text if logs else ""

    def checkpoint(self, path: str | Path, name: Literal["best", "last"] = "best") -> Path:
        """Fetch a checkpoint to `path`, its digest compared. Raises NotFound where there is none."""
        return checkpoints.download(self._transport, self.record.id, name, Path(path))

    def diagnosis(self) -> TrialDiagnosis:
        """What is wrong with the trial, as far as it is known; nothing is begun. Raises Conflict until it has ended."""
        return self._transport.ask(TrialDiagnosis, "GET", f"{self._path}/diagnose")

    def diagnose(
        self,
        probes: bool = True,
        wait: bool = True,
        timeout: float | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> TrialDiagnosis:
        """What is wrong with the trial, proved by probes that the workers train; they are trained once.

        `wait`: until the verdict stands, else what is known so far, its `state` `running`. Without `probes` nothing
        is begun and the answer is what is known, by the curves alone. Raises Conflict until the trial has ended and where its study allows no probes,
        TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else monotonic() + timeout
        found = self._transport.ask(
            TrialDiagnosis, "POST", f"{self._path}/diagnose", body=AskDiagnosis(probes=probes)
        )
        while wait and probes and found.state == "running":
            if deadline is not None and monotonic() >= deadline:
                raise TimeoutError(f"no verdict after {timeout:g} s; open probes: {found.open_probes}")
            sleep(POLL_SECONDS if deadline is None else min(POLL_SECONDS, max(0.0, deadline - monotonic())))
            found = self.diagnosis()
        return found

    def stop(self) -> Trial:
        """Cancel the trial, whether it waits or runs."""
        return self._act("stop")

    def retry(self) -> Trial:
        """Let a failed or cancelled trial run again."""
        return self._act("retry")

    def clone(self, name: str | None = None, replicates: int = 3) -> Study:
        """Train the trial's point again on other seeds, as a study of its own, `STUDY-trial-NUMBER` without a name.

        Raises Conflict for a trial that measures, trains on a subset or for a part of an epoch.
        """
        body = Clone(name=name, replicates=replicates)
        return self._transport.ask(Study, "POST", f"{self._path}/clone", body=body)

    def _act(self, action: str) -> Trial:
        self.record = self._transport.ask(Trial, "POST", f"{self._path}/{action}", repeatable=False)
        return self.record
