"""Curves as columns: one compressed chunk per run and sequence number."""

import json
import struct
import zlib
from collections.abc import Collection, Iterator

import numpy as np
from sqlalchemy import Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from hpsearch.records import Points, RunId, Series
from hpsearch.store.engine import Transaction
from hpsearch.store.tables import metric_chunks, run_logs
from hpsearch.store.types import storable
from hpsearch.wire import LOG_BYTES

FAST = 1  # zlib level: the columns are small, the server's one writer waits for them

_CHUNKS = (
    select(metric_chunks)
    .where(metric_chunks.c.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(metric_chunks.c.run_id, metric_chunks.c.seq)
)
# Each report with output needs these two: built once.
_LOG = select(run_logs.c.text).where(run_logs.c.run_id == bindparam("run"))


def _replacing(new: postgresql.Insert | sqlite.Insert) -> Insert:
    return new.on_conflict_do_update(index_elements=["run_id"], set_={"text": new.excluded.text})


_SET_LOG = {
    "postgresql": _replacing(postgresql.insert(run_logs)),
    "sqlite": _replacing(sqlite.insert(run_logs)),
}


def chunks(
    tx: Transaction, run_ids: Collection[RunId], names: Collection[str] | None = None
) -> dict[RunId, list[Series]]:
    """Each run's stretches in the order they were reported, with only `names` where given."""
    found: dict[RunId, list[Series]] = {run_id: [] for run_id in run_ids}
    for row in tx.execute(_CHUNKS, {"runs": list(run_ids)}):
        found[row.run_id].append(unpack(row.data, names))
    return found


def append_log(tx: Transaction, run_id: RunId, text: str) -> None:
    """Keep the last 64 KiB of a run's output."""
    _keep(tx, run_id, log(tx, run_id) + storable(text))


def set_log(tx: Transaction, run_id: RunId, text: str) -> None:
    """What a dead worker's successor found of a run's output, which holds all that was sent before."""
    _keep(tx, run_id, storable(text))


def log(tx: Transaction, run_id: RunId) -> str:
    """A run's output, "" where it had none."""
    found = tx.execute(_LOG, {"run": run_id}).scalar()
    return "" if found is None else str(found)


def pack(series: Series) -> bytes:
    """[header length, header (names and lengths), then per metric int64 steps and float64 values], zlib.

    Raises OverflowError for a step beyond 64 bits.
    """
    header = json.dumps([[name, len(points.steps)] for name, points in series.items()]).encode()
    parts = [struct.pack("<I", len(header)), header]
    for points in series.values():
        parts.append(np.asarray(points.steps, dtype="<i8").tobytes())
        parts.append(np.asarray(points.values, dtype="<f8").tobytes())
    return zlib.compress(b"".join(parts), FAST)


def unpack(data: bytes, names: Collection[str] | None = None) -> Series:
    """What `pack` was given, NaN and infinities included."""
    raw = zlib.decompress(data)
    (size,) = struct.unpack_from("<I", raw)
    header: list[tuple[str, int]] = json.loads(raw[4 : 4 + size])
    return dict(_columns(raw, 4 + size, header, names))


def _columns(
    raw: bytes, offset: int, header: list[tuple[str, int]], names: Collection[str] | None
) -> Iterator[tuple[str, Points]]:
    for name, count in header:
        if names is None or name in names:
            steps = np.frombuffer(raw, dtype="<i8", count=count, offset=offset)
            values = np.frombuffer(raw, dtype="<f8", count=count, offset=offset + 8 * count)
            # Checked when it was reported; 10,000 points need not be checked again.
            yield name, Points.model_construct(steps=tuple(steps.tolist()), values=tuple(values.tolist()))
        offset += 16 * count


def _tail(text: str) -> str:
    if len(text) <= LOG_BYTES // 4:  # even if every character took four bytes
        return text
    return text.encode()[-LOG_BYTES:].decode("utf-8", "ignore")


def _keep(tx: Transaction, run_id: RunId, text: str) -> None:
    tx.execute(_SET_LOG[tx.dialect.name], {"run_id": run_id, "text": _tail(text)})
