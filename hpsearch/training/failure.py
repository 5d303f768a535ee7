"""How a trial failed, in a sentence a user can act on."""

import traceback
from pathlib import Path

import torch

from hpsearch.errors import TrialError
from hpsearch.records import FailureReason, Outcome
from hpsearch.training.loading import SampleError, dead_worker

TRACEBACK_LINES = 12  # of the user's own frames
MESSAGE_LENGTH = 8_000  # characters; a state dict's mismatch can list thousands of names


def failed_outcome(error: BaseException, name: str, tasks_dir: Path | None) -> Outcome:
    """The outcome for what task `name` raised: the reason, one sentence, and for an exception out of a file
    in `tasks_dir` the last lines of the traceback that lie there.
    """
    error = dead_worker(error) or error
    match error:
        case TrialError():
            message = f"{error.message} ({error.hint})" if error.hint else error.message
            return _failed(FailureReason(error.reason), message)
        case _ if is_out_of_memory(error):
            return _failed(FailureReason.OOM, f"task {name} ran out of memory: {_first_line(error)}")
        case SampleError():
            sentence = f"task {name} raised {error.kind}: {_first_line(error)}"
            return _failed(FailureReason.ERROR, "\n".join([sentence, *_own_lines(error.frames, tasks_dir)]))
        case _:
            sentence = f"task {name} raised {type(error).__name__}: {_first_line(error)}"
            frames = traceback.extract_tb(error.__traceback__)
            return _failed(FailureReason.ERROR, "\n".join([sentence, *_own_lines(frames, tasks_dir)]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: torch's own class for a GPU; the CPU's allocator, cuBLAS and cuDNN raise plain RuntimeErrors."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    marks = (
        "can't allocate memory",
        "ALLOC_FAILED",
        "ALLOCATION_FAILED",
        "CUDA out of memory",
        "CUDA error: out of memory",
    )
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in marks)


def _failed(reason: FailureReason, message: str) -> Outcome:
    return Outcome(state="failed", reason=reason, message=message[:MESSAGE_LENGTH])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]


def _own_lines(frames: traceback.StackSummary, folder: Path | None) -> list[str]:
    if folder is None:
        return []
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder.resolve())]
    return "".join(traceback.format_list(own)).splitlines()[-TRACEBACK_LINES:]
