"""What a worker is told when it starts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Limits:
    """Seconds that a worker grants.

    `startup`: from a trial's start to its first sign of progress, downloads included. `no_progress`: between
    two signs. `grace`: from asking a trial to end to killing it. `drain`: from SIGTERM to the end of the
    daemon. `orphan`: without any contact with the server before training is given up. `patience`: for a
    server that does not answer when the worker starts. (guarantees.md, rules 7, 8 and 10.)
    """

    startup: float = 1800.0
    no_progress: float = 600.0
    grace: float = 30.0
    drain: float = 25.0
    orphan: float = 1800.0
    patience: float = 10.0


@dataclass(frozen=True)
class WorkerSettings:
    """One worker daemon. `home` is where it keeps its own folder; `tasks_dir` holds task files it may run;
    with `allow_commands`, commands run there too.

    `name`: by default this host's and home's, the same at each start. `slots`, `threads`: None lets the
    machine decide (see `devices`). `max_trials`: the most trials that one lease may hand to a slot.
    """

    server: str
    token: str | None
    home: Path
    data_dir: Path
    tasks_dir: Path | None = None
    allow_commands: bool = False
    name: str | None = None
    labels: tuple[str, ...] = ()
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    slots: int | None = None
    threads: int | None = None
    max_trials: int = 16
    lease_wait_seconds: float = 20.0
    report_interval_seconds: float = 1.0
    limits: Limits = field(default_factory=Limits)
