"""What a run prints, read from its child's log file while it grows, and found again after the daemon's death.

A child's file holds the output of its pack's runs one after another; each run knows where its own begins. The
file is emptied once it has grown large and was read: a place beyond its end was said before that.
"""

import codecs
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from hpsearch.records import Record, RunId
from hpsearch.wire import LOG_BYTES, Interrupted

MARK = "in-progress.json"
MOST_ON_DISK = 2 * 2**20  # bytes; a run prints on until the next look, about a second later
_MOST = LOG_BYTES // 2  # at a time: room for what escapes and replacements add


class _Mark(Record):
    log: Path
    offset: int


@dataclass
class Output:
    """One run's part of a log file. `begin` marks its folder until `end`, or until a later daemon `salvage`s it."""

    log: Path
    offset: int
    folder: Path
    _early: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    @classmethod
    def begin(cls, log: Path, offset: int, folder: Path) -> "Output":
        (folder / MARK).write_text(_Mark(log=log, offset=offset).model_dump_json())
        output = cls(log, offset, folder)
        if offset > MOST_ON_DISK:  # a pack's short trials end before the first look
            output._early = output.new()
        return output

    def new(self, until: int | None = None) -> str:
        """What was printed since the last call, at most its last 32 KiB; `until`: where the run's part ends."""
        raw, self.offset = _tail(self.log, self.offset, until)
        if until is None:  # else the next run prints already
            self.offset = _bounded(self.log, self.offset)
        early, self._early = self._early, ""
        return early + self._decoder.decode(raw)

    def end(self) -> None:
        """The run is no longer in progress."""
        (self.folder / MARK).unlink(missing_ok=True)


def salvage(runs: Path) -> tuple[Interrupted, ...]:
    """The runs that were in progress when the daemon that had `runs` ended without a word, with their last output."""
    found = []
    for mark in sorted(runs.glob(f"*/{MARK}")):
        try:
            what = _Mark.model_validate_json(mark.read_bytes())
            run_id = RunId(int(mark.parent.name))
        except (OSError, ValueError, ValidationError, json.JSONDecodeError):
            continue  # cut off while it was written: nothing had begun
        raw, _ = _tail(what.log, what.offset, None)
        found.append(Interrupted(run_id=run_id, log=raw.decode(errors="replace")))
    return tuple(found)


def _bounded(path: Path, end: int) -> int:
    """`end`, up to where the file was read; 0 where it was emptied, of which its writers, who append, see nothing."""
    if end > MOST_ON_DISK:
        with suppress(OSError):  # as of a file that is gone
            os.truncate(path, 0)
            return 0
    return end


def _tail(path: Path, start: int, until: int | None) -> tuple[bytes, int]:
    """(the last 32 KiB of what lies between, where it ends); nothing where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b"", start
    try:
        size = os.fstat(descriptor).st_size
        start = start if start <= size else 0
        end = size if until is None else min(until, size)
        first = max(start, end - _MOST)
        return os.pread(descriptor, max(0, end - first), first), max(start, end)
    finally:
        os.close(descriptor)
