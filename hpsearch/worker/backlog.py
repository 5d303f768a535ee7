"""What runs have measured and the server has not taken yet: in memory, and beyond a limit in a file."""

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from hpsearch.records import Points, Record, RunId, Series


class _Chunk(Record):
    """A stretch of curves as it lies in the file."""

    series: Series


@dataclass(frozen=True)
class _Spilled:
    """A chunk that lies in the file."""

    offset: int
    size: int


class Backlog:
    """First in, first out per run. Not safe for threads by itself: the reporter holds its lock.

    `memory_points`: points kept in memory (about 60 bytes each) before further ones go to `file`.
    """

    def __init__(self, file: Path, *, memory_points: int = 1_000_000) -> None:
        self._file = file
        self._limit = memory_points
        self._chunks: dict[RunId, deque[Series | _Spilled]] = {}
        self._in_memory = 0
        self._spilled = 0
        self._descriptor: int | None = None

    def add(self, run_id: RunId, series: Series) -> None:
        count = point_count(series)
        if count == 0:
            return
        chunks = self._chunks.setdefault(run_id, deque())
        if self._in_memory + count > self._limit:
            chunks.append(self._write(series))
        else:
            self._in_memory += count
            chunks.append(series)

    def has(self, run_id: RunId) -> bool:
        return bool(self._chunks.get(run_id))

    def take(self, run_id: RunId, most_points: int) -> Series:
        """The run's oldest points, at most `most_points` of them, joined per metric and removed from here."""
        chunks = self._chunks.get(run_id, deque())
        taken: list[Series] = []
        room = most_points
        while chunks and room > 0:
            chunk = self._pop(chunks)
            head, rest = split(chunk, room)
            room -= point_count(head)
            taken.append(head)
            if rest:
                self._in_memory += point_count(rest)
                chunks.appendleft(rest)
        if not chunks:
            self._chunks.pop(run_id, None)
        return join(taken)

    def drop(self, run_id: RunId) -> None:
        """Forget what the run has measured."""
        for chunk in self._chunks.pop(run_id, deque()):
            if isinstance(chunk, _Spilled):
                self._forget_spilled()
            else:
                self._in_memory -= point_count(chunk)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._file.unlink(missing_ok=True)

    def _pop(self, chunks: deque[Series | _Spilled]) -> Series:
        chunk = chunks.popleft()
        if not isinstance(chunk, _Spilled):
            self._in_memory -= point_count(chunk)
            return chunk
        assert self._descriptor is not None
        raw = os.pread(self._descriptor, chunk.size, chunk.offset)
        self._forget_spilled()
        return _Chunk.model_validate_json(raw).series

    def _write(self, series: Series) -> _Spilled:
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        body = _Chunk(series=series).model_dump_json().encode()
        offset = os.lseek(self._descriptor, 0, os.SEEK_END)
        view = memoryview(body)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._spilled += 1
        return _Spilled(offset, len(body))

    def _forget_spilled(self) -> None:
        self._spilled -= 1
        if self._spilled == 0 and self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)


def point_count(series: Series) -> int:
    return sum(len(points.steps) for points in series.values())


def split(series: Series, most_points: int) -> tuple[Series, Series]:
    """The first `most_points` points and the rest, metric by metric."""
    if point_count(series) <= most_points:
        return series, {}
    head: Series = {}
    rest: Series = {}
    room = most_points
    for name, points in series.items():
        here = min(room, len(points.steps))
        room -= here
        if here:
            head[name] = Points(steps=points.steps[:here], values=points.values[:here])
        if here < len(points.steps):
            rest[name] = Points(steps=points.steps[here:], values=points.values[here:])
    return head, rest


def join(parts: list[Series]) -> Series:
    """One series with each metric's stretches one after another."""
    if len(parts) == 1:
        return parts[0]
    steps: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for part in parts:
        for name, points in part.items():
            steps.setdefault(name, []).extend(points.steps)
            values.setdefault(name, []).extend(points.values)
    return {name: Points(steps=tuple(steps[name]), values=tuple(values[name])) for name in steps}
