"""A stored trial judged by its server."""

from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.cli.connect import connected
from hpsearch.cli.judged import Judged
from hpsearch.errors import InvalidInput, NotFound
from hpsearch.records import TrialId

if TYPE_CHECKING:
    from hpsearch.client import Client
    from hpsearch.client.trial import TrialHandle


def judged(
    trial: int, study: str | None, *, server: str | None, token: str | None, home: Path | None
) -> Judged:
    """`trial` is an id, with a study its number there. Raises NotFound, and Conflict while it is open."""
    with connected(server, token, home) as client:
        handle = _found(client, trial, study)
        diagnosis, curves = handle.diagnose(), handle.metrics()
    return Judged(f"trial {handle.record.id}", diagnosis.model_dump(mode="json"), curves)


def _found(client: "Client", trial: int, study: str | None) -> "TrialHandle":
    if study is None:
        if trial == 0:
            raise InvalidInput("--trial 0 is a number within a study: name it with --study STUDY")
        return client.trial(TrialId(trial))
    for handle in client.study(study).trials():
        if handle.record.number == trial:
            return handle
    raise NotFound(f"study {study!r} has no trial number {trial}", hint=f"hpsearch study trials {study}")
