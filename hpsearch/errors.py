"""Every error a user can meet. The tree:

HpsearchError
├── InvalidInput            422, exit 2   a request, study file or flag is wrong; lists each problem
├── Unauthorized            401, exit 1   no token, or one that is unknown, expired or revoked
├── Forbidden               403, exit 1   the token's scope does not allow this
├── NotFound                404, exit 3
├── Conflict                409, exit 4
│   ├── StudyExists                       same name, other spec; names the changed keys
│   ├── IllegalMove                       a state that this one can't move to
│   └── LeaseLost                         a worker's write under a lease that is over
├── TooLarge                413, exit 1   more bytes than the server, or a proxy before it, takes at once
├── Unavailable             503, exit 1   database or disk can't take writes now; try again
│   ├── DiskFull
│   └── SpecUnreadable                    a stored study that this version can't read
├── ServerUnreachable            exit 5   raised by the client
├── GateFailed                   exit 6   a recipe gate stopped the study
└── TrialError                   exit 1   a trial can't be trained; carries the failure's reason
    ├── TaskNotAllowed
    └── DataUnavailable

A message is one sentence that says what, which and where; `hint` says what to do next.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input. `pointer` is a JSON pointer (RFC 6901) into the body or study file."""

    pointer: str
    detail: str


class HpsearchError(Exception):
    """Base of all errors that are part of the interface."""

    code = "error"
    status = 500
    exit_code = 1
    retry_after_seconds = 0.0  # how long the server asks to be left alone

    def __init__(self, message: str, *, hint: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)


class InvalidInput(HpsearchError):
    code = "invalid_input"
    status = 422
    exit_code = 2


class Unauthorized(HpsearchError):
    code = "unauthorized"
    status = 401


class Forbidden(HpsearchError):
    code = "forbidden"
    status = 403


class NotFound(HpsearchError):
    code = "not_found"
    status = 404
    exit_code = 3


class Conflict(HpsearchError):
    code = "conflict"
    status = 409
    exit_code = 4


class StudyExists(Conflict):
    code = "study_exists"


class IllegalMove(Conflict):
    code = "illegal_move"


class LeaseLost(Conflict):
    code = "lease_lost"


class TooLarge(HpsearchError):
    code = "too_large"
    status = 413


class Unavailable(HpsearchError):
    code = "unavailable"
    status = 503


class DiskFull(Unavailable):
    code = "disk_full"


class SpecUnreadable(Unavailable):
    code = "spec_unreadable"


class ServerUnreachable(HpsearchError):
    code = "server_unreachable"
    exit_code = 5


class GateFailed(HpsearchError):
    code = "gate_failed"
    exit_code = 6


class TrialError(HpsearchError):
    """A trial that can't be trained as asked; `reason` is a value of `records.FailureReason`."""

    code = "trial_error"
    reason = "error"


class UnknownClass(TrialError):
    """A task file without the class that was asked for."""

    code = "unknown_class"


class TaskNotAllowed(TrialError):
    code = "task_not_allowed"
    reason = "task_not_allowed"


class OutOfMemory(TrialError):
    code = "out_of_memory"
    reason = "oom"


class DataUnavailable(TrialError):
    code = "data_unavailable"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that `name` most likely misspells, or None."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: str, valid: Iterable[str]) -> str:
    """The sentence for an unknown name: nearest valid name where one is near, else the whole list."""
    names = sorted(valid)
    near = nearest(name, names)
    if near is not None:
        return f"unknown {kind} {name!r}; did you mean {near!r}?"
    return f"unknown {kind} {name!r}; known: {', '.join(names)}"
