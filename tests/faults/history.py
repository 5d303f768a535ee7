"""What workers asked and what they were told: one line of JSON per event, in a file per process.

Written with single appends, so that a process killed at any moment leaves whole lines. A call that was begun and
never answered is `unknown`: it may or may not have happened.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Journal:
    """One process's events, on disk."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{os.getpid()}-{time.monotonic_ns()}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **event: Any) -> None:
        os.write(self._descriptor, json.dumps({"at": time.monotonic(), **event}).encode() + b"\n")


@dataclass(frozen=True)
class Report:
    """One report of one run. `points`: how many of `loss`; `state`: of the outcome, if there was one."""

    worker: int
    run: int
    seq: int
    points: int
    state: str | None
    status: str  # ok, lease_lost, refused, or unknown


@dataclass
class History:
    """All that was said. `leases`: (worker, run, trial, epoch) of every lease that reached a worker."""

    leases: list[tuple[int, int, int, int]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)  # runs that a heartbeat said are over
    slowest_heartbeat: float = 0.0


def read(folder: Path) -> History:
    history = History()
    for path in sorted(folder.glob("*.jsonl")):
        pending: list[dict[str, Any]] = []
        for line in path.read_bytes().splitlines():
            event = json.loads(line)
            match event["kind"]:
                case "lease":
                    history.leases += [(event["worker"], *lease) for lease in event["leases"]]
                case "report":
                    pending.append(event)
                case "answer":
                    asked = next(one for one in pending if one["call"] == event["call"])
                    pending.remove(asked)
                    history.reports += _reports(asked, event["statuses"])
                case "heartbeat":
                    history.lost.update(event["lost"])
                    history.slowest_heartbeat = max(history.slowest_heartbeat, event["seconds"])
        for asked in pending:
            history.reports += _reports(asked, ["unknown"] * len(asked["reports"]))
    return history


def _reports(asked: dict[str, Any], statuses: list[str]) -> Iterator[Report]:
    for (run, seq, points, state), status in zip(asked["reports"], statuses, strict=True):
        yield Report(asked["worker"], run, seq, points, state, status)
