"""What a trial is charged with when its process did not end it."""

import signal

from hpsearch.records import FailureReason, Outcome
from hpsearch.worker.offspring import Exit

_MESSAGE_TAIL = 1000  # characters of output in a crash's message; the run's log has more


def crashed(end: Exit, output: str) -> Outcome:
    """`output`: the end of what the trial has printed."""
    message = describe(end)
    if output:
        message += "\n" + output[-_MESSAGE_TAIL:]
    return Outcome(state="failed", reason=FailureReason.CRASHED, message=message)


def stalled(seconds: float) -> Outcome:
    message = f"the trial made no progress for {seconds:g} s and was stopped"
    return Outcome(state="failed", reason=FailureReason.STALLED, message=message)


def describe(end: Exit) -> str:
    """How a child died, in a sentence."""
    if end.code is None:
        return "the training process and the fork server that made it ended in the middle of this trial"
    if end.code >= 0:
        return f"the training process ended with exit code {end.code} in the middle of this trial"
    name = signal.Signals(-end.code).name if -end.code in signal.valid_signals() else f"signal {-end.code}"
    hint = "; the kernel does that when memory runs out (see dmesg)" if end.code == -signal.SIGKILL else ""
    return f"the training process was killed by {name} in the middle of this trial{hint}"
