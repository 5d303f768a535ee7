"""What an operator asks of a server."""

from typing import Literal

from pydantic import Field

from hpsearch.records import Record, StudyId


class Prune(Record):
    """What may be dropped: of studies that ended `days` ago, all but the `keep_best` best trials' curves and
    checkpoints."""

    days: float = Field(default=30.0, ge=0, le=36_500)
    keep_best: int = Field(default=10, ge=1, le=1_000)
    dry_run: bool = False


class Pruned(Record):
    """What was dropped, or would be: `curves` counts stored stretches, `files` all that was removed from the disk."""

    studies: tuple[StudyId, ...]
    curves: int
    checkpoints: int
    files: int = 0
    dry_run: bool


class Health(Record):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}


class Version(Record):
    version: str
    api: Literal["v1"] = "v1"
