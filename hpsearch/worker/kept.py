"""What commands keep in `HPSEARCH_CHECKPOINT_DIR`: a folder per trial, which outlives its runs."""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hpsearch.wire import Assignment

_KEPT = "kept"
# A trial that ends elsewhere, or with its process, leaves its folder here, and nobody tells this worker.
STALE_SECONDS = 7 * 86_400.0

log = logging.getLogger(__name__)


def kept_folder(worker_folder: Path, assignment: Assignment) -> Path:
    """The same for every run of one trial, whichever its run id."""
    digest = hashlib.sha256(assignment.model_dump_json().encode()).hexdigest()
    return worker_folder / _KEPT / digest[:24]


def mark_used(folder: Path) -> None:
    """A run is at work there. Files that are written in place would not show it."""
    with suppress(OSError):  # the folder is the command's own to remove
        os.utime(folder)


def drop_stale(worker_folder: Path, *, now: float) -> None:
    """Remove the folders in which for a week no run was at work and nothing was written. `now`: seconds since 1970."""
    for folder in (worker_folder / _KEPT).glob("*"):
        if now - max(_touched_at(folder), default=now) > STALE_SECONDS:
            log.info("%s is removed: no run has used it for %d days", folder, STALE_SECONDS // 86_400)
            shutil.rmtree(folder, ignore_errors=True)


def _touched_at(folder: Path) -> Iterator[float]:
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in files)):
            with suppress(OSError):  # gone since
                yield path.lstat().st_mtime
