"""T10: a file system of a test's own, in a file, whose device can be lost or become read-only under a running server."""

import fcntl
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

SIZE = 48 * 2**20
TRIAL_SIZE = 8 * 2**20
# ext4's own power cut (linux/fs/ext4: EXT4_IOC_SHUTDOWN, as xfstests uses it): from then on every call fails with EIO,
# and what was not synced is dropped with the journal that was not flushed.
SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def works(folder: Path) -> bool:
    """Whether this user may do all of it here; tried out in an empty folder."""
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("mkfs.ext4", "e2fsck", "findmnt")):
        return False
    try:
        disk = OwnDisk(folder / "trial", TRIAL_SIZE)
    except (OSError, subprocess.CalledProcessError):
        return False
    try:
        for fail in (disk.lose, disk.become_read_only):
            fail()
            disk.restore()
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        disk.remove()
    return True


class OwnDisk:
    """Mounted at `folder` from the start. Raises CalledProcessError where this machine can't."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.folder = folder
        self._image = folder.with_suffix(".img")
        folder.mkdir()
        with self._image.open("wb") as file:
            file.truncate(size)
        _command("mkfs.ext4", "-q", "-b", "4096", str(self._image))
        self._mount()

    def lose(self) -> None:
        """As when the power goes: what was not synced never reaches the device."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def become_read_only(self) -> None:
        """As the kernel does when it finds the file system damaged."""
        device = _command("findmnt", "--noheadings", "--output", "SOURCE", str(self.folder)).strip()
        Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")

    def restore(self) -> None:
        """The machine is started again: its journal is replayed, its file system checked. Nobody may use it."""
        self._unmount()
        self._mount()  # replays the journal
        self._unmount()
        checked = subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        assert checked.returncode <= 1, checked.stdout  # 1: the mark of the error is cleared
        self._mount()

    def remove(self) -> None:
        self._unmount()
        self._image.unlink()

    def _mount(self) -> None:
        _command("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder))

    def _unmount(self) -> None:
        deadline = time.monotonic() + 10
        while subprocess.run(["umount", str(self.folder)], capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < deadline, "somebody still uses the file system"
            time.sleep(0.05)  # a killed process leaves a moment later


def _command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout
