"""Room on the disk: watched, and a little of it held back for the results that are under way when it runs out."""

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)


class Disk:
    """The disk that holds `ballast`, a file of `ballast_bytes` that is given up once a write finds no room.

    `problem` says why no new work is handed out and no checkpoint taken: less than `least_free` bytes are free, a
    write failed, or the disk can't be used at all.
    """

    def __init__(self, ballast: Path, *, ballast_bytes: int, least_free: int) -> None:
        self._ballast = ballast
        self._size = ballast_bytes
        self._least = least_free
        self.problem = ""

    def check(self) -> None:
        """Look at the disk again; make the ballast where there is room for it. Never raises what the disk does."""
        try:
            self._look()
        except OSError as error:  # no inode is left, it was unplugged, it became read-only
            self._tell(f"the server's disk can't be used: {error.strerror}")

    def give_way(self) -> None:
        """A write found no room: results under way get the ballast's."""
        with suppress(OSError):  # a disk that is read-only by now keeps it
            self._ballast.unlink(missing_ok=True)
        self._tell("the server's disk is full")

    def _look(self) -> None:
        free = shutil.disk_usage(self._ballast.parent).free
        if free < self._least:
            self._tell(f"only {free / 2**20:.0f} MiB are free on the server's disk")
            return
        if self._ballast.exists() or free < self._least + self._size or self._fill():
            self.problem = ""

    def _fill(self) -> bool:
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if self._size:
                os.posix_fallocate(descriptor, 0, self._size)
        except OSError:
            self._ballast.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True

    def _tell(self, problem: str) -> None:
        if not self.problem:
            log.error("%s: no trials are handed out and no checkpoints taken until there is room", problem)
        self.problem = problem
