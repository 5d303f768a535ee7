"""Checkpoint files on the server's disk: written whole or not at all, read without following links."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread

from hpsearch.errors import DiskFull, InvalidInput, NotFound, Unavailable
from hpsearch.home import Home
from hpsearch.records import Checkpoint, StudyId

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
BUFFER = 2**20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def checkpoint_folder(home: Home, study_id: StudyId) -> Path:
    """Where a study's checkpoints lie: made of ids only, never of a name that came over the wire."""
    return home.checkpoints / str(study_id)


def open_stored(root: Path, path: Path) -> BufferedReader:
    """Open a file below `root`. Raises NotFound where it is gone, a link, or elsewhere."""
    gone = NotFound(f"the checkpoint file {path.name} is no longer on the server's disk")
    if not (root / path).resolve().is_relative_to(root.resolve()):
        raise gone
    try:
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise gone from None
    return os.fdopen(descriptor, "rb")


def is_intact(root: Path, checkpoint: Checkpoint, path: Path) -> bool:
    """Whether the file has the digest it was stored with: one flipped byte would load without a word."""
    try:
        with open_stored(root, path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == checkpoint.sha256
    except (NotFound, OSError):
        return False


@dataclass(frozen=True)
class StoredFile:
    path: Path
    size: int
    sha256: str


class Upload:
    """A file that arrives in pieces and is there whole or not at all: temporary, fsync, digest compared, renamed.

    `folder` is asked for when the first piece is written. Each method may block, and raises Unavailable where the
    disk refuses. Call `abandon` where it is not finished.
    """

    def __init__(self, folder: Callable[[], Path], name: str, sha256: str) -> None:
        """Raises InvalidInput for what is no digest."""
        if not SHA256.match(sha256):
            raise InvalidInput(
                "X-Content-SHA256 must be 64 lower-case hexadecimal digits, the SHA-256 of the body"
            )
        self._folder = folder
        # Never the name of an older file: a refused upload is removed, and must not take that one along.
        self._name = f"{name}-{sha256[:16]}-{secrets.token_hex(4)}.part"
        self._wanted = sha256
        self._digest = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO | None = None
        self._temporary: Path | None = None

    def append(self, data: bytes) -> None:
        with _disk_refusals():
            if self._file is None:
                self._temporary = self._folder() / self._name
                self._file = _create(self._temporary)
            self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def finish(self, rest: bytes) -> StoredFile:
        """With the last piece. Raises InvalidInput where the digest of all pieces is another."""
        self.append(rest)
        assert self._file is not None
        assert self._temporary is not None
        found = self._digest.hexdigest()
        if found != self._wanted:
            raise InvalidInput(
                f"the {self._size:,} bytes that arrived have SHA-256 {found}, not {self._wanted}",
                hint="send the file again",
            )
        path = self._temporary.with_suffix(".safetensors")
        with _disk_refusals():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _rename_durably(self._temporary, path)
        self._file = None
        return StoredFile(path=path, size=self._size, sha256=found)

    @property
    def unfinished(self) -> bool:
        return self._file is not None

    def abandon(self) -> None:
        """Leave nothing behind of what is unfinished."""
        if self._file is not None and self._temporary is not None:
            with suppress(OSError):  # what a full disk could not take is gone with the file
                self._file.close()
            discard(self._temporary)
            self._file = None


async def receive(chunks: AsyncIterator[bytes], upload: Upload) -> bytes:
    """Have `upload` write what arrives; the last piece, up to 1 MiB, is returned unwritten.

    So a small file is made, written and synced in one go: of a thousand that come together the first are done at once.
    """
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= BUFFER:
            await anyio.to_thread.run_sync(upload.append, bytes(buffer))
            buffer.clear()
    return bytes(buffer)


def discard(path: Path) -> None:
    """Remove a file if it is there and its disk lets us: one that failed while writing may refuse this too."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def drop_older(kept: Path, name: str) -> None:
    """Of the files called `name` beside `kept` that are older, leave the newest. Newer ones may wait to be registered."""
    with suppress(OSError):  # what can't be removed is kept
        newest = kept.stat().st_mtime_ns
        ages = {path: path.stat().st_mtime_ns for path in kept.parent.glob(f"{name}-*.safetensors")}
        older = [path for path in ages if path != kept and ages[path] <= newest]
        for path in sorted(older, key=ages.__getitem__)[:-1]:
            path.unlink(missing_ok=True)


def drop_parts(home: Home, *, older_than: float) -> int:
    """Remove what is left of uploads that a killed server never finished; how many. `older_than`: a time as files
    bear it, before which no upload under way has written last."""
    dropped = 0
    for folder, _, names in os.walk(home.checkpoints):  # passes over what can't be read
        for path in (Path(folder, name) for name in names if name.endswith(".part")):
            with suppress(OSError):  # finished, or gone, meanwhile
                if path.stat().st_mtime < older_than:
                    path.unlink()
                    dropped += 1
    return dropped


def files_of(home: Home, study_id: StudyId) -> list[Path]:
    """All that lies in the study's folder, as paths of checkpoints are registered. Raises OSError for what can't be read."""
    walk = os.walk(checkpoint_folder(home, study_id), onerror=_unless_gone)
    return [Path(folder, name).relative_to(home.checkpoints) for folder, _, names in walk for name in names]


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def drop(home: Home, study_id: StudyId, lost: Iterable[Path]) -> int:
    """Remove these files of a study, and what folders of it are empty then; how many files.

    Goes on past what the disk does not let go, and raises its OSError in the end.
    """
    dropped, problem = 0, None
    for path in lost:
        try:
            (home.checkpoints / path).unlink()
            dropped += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = error
    for folder, _, _ in os.walk(checkpoint_folder(home, study_id), topdown=False):
        with suppress(OSError):  # not empty
            Path(folder).rmdir()
    if problem is not None:
        raise problem
    return dropped


@contextmanager
def _disk_refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in NO_SPACE else Unavailable
        raise kind(
            f"can't store the checkpoint: {error.strerror}", hint="free disk space on the server"
        ) from None


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


def _rename_durably(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    try:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        discard(path)  # nobody will speak of it
        raise
