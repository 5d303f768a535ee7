"""Whose a worker is: only the token that registered it speaks for it. One token may have any number of workers."""

from collections.abc import Mapping
from datetime import datetime

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import TokenId, WorkerId
from hpsearch.service.tokens import is_valid
from hpsearch.store import past_runs, tokens
from hpsearch.store.engine import Transaction
from hpsearch.store.workers import WorkerRow


def speaks_for(by: TokenId | None, owner: TokenId | None) -> bool:
    """Whether the token `by` may act for a worker of the token `owner`.

    `by` is None for calls within the server's own process, `owner` for workers that were registered before tokens
    were remembered.
    """
    return by is None or owner is None or by == owner


def known(rows: Mapping[WorkerId, WorkerRow], worker_id: WorkerId, by: TokenId | None) -> WorkerRow:
    """The worker among those that were looked up. Raises NotFound, or Conflict where it is another token's."""
    if worker_id not in rows:
        raise NotFound(f"no worker {worker_id}", hint="register it again")
    check(rows[worker_id], by)
    return rows[worker_id]


def check(worker: WorkerRow, by: TokenId | None) -> None:
    """Raises Conflict where the worker is another token's."""
    if not speaks_for(by, worker.token_id):
        raise Conflict(
            f"worker {worker.worker.name!r} was registered with another token",
            hint="start a daemon with this token: it registers a worker of its own",
        )


def check_take_over(tx: Transaction, worker: WorkerRow, by: TokenId | None, *, now: datetime) -> None:
    """Raises Conflict where another token's worker of this name is at work.

    An idle one may be taken over, and one whose token has expired or was revoked: it can't speak any more.
    """
    if speaks_for(by, worker.token_id) or not past_runs.has_active(tx, worker.id):
        return
    assert worker.token_id is not None
    owner = tokens.get(tx, worker.token_id)
    if owner is not None and is_valid(owner, now):
        raise Conflict(
            f"worker {worker.worker.name!r} is at work with another token",
            hint="give each daemon its own --name; after a change of tokens, revoke the old one or wait for its leases to end",
        )
