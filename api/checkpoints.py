"""Checkpoint files on the server's disk: written whole or not at all, read without following links."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class StoredFile:
    path: Path
    size: int
    sha256: str


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


async def store(folder: Path, name: str, chunks: AsyncIterator[bytes], sha256: str) -> StoredFile:
    """Write `chunks` to a new file in `folder`: temporary, fsync, digest compared, renamed.

    Raises InvalidInput where the digest does not match, Unavailable where the disk refuses; then nothing
    is left behind.
    """
    if not SHA256.match(sha256):
        raise InvalidInput(
            "X-Content-SHA256 must be 64 lower-case hexadecimal digits, the SHA-256 of the body"
        )
    # Never the name of an older file: a refused upload is removed, and must not take that one along.
    path = folder / f"{name}-{sha256[:16]}-{secrets.token_hex(4)}.safetensors"
    temporary = path.with_suffix(".part")
    try:
        size, found = await _write(temporary, chunks)
        if found != sha256:
            raise InvalidInput(
                f"the {size:,} bytes that arrived have SHA-256 {found}, not {sha256}",
                hint="send the file again",
            )
        await anyio.to_thread.run_sync(_rename_durably, temporary, path)
    except OSError as error:
        kind = DiskFull if error.errno in NO_SPACE else Unavailable
        raise kind(
            f"can't store the checkpoint: {error.strerror}", hint="free disk space on the server"
        ) from None
    finally:
        discard(temporary)
    return StoredFile(path=path, size=size, sha256=sha256)


def discard(path: Path) -> None:
    """Remove a file if it is there and its disk lets us: one that failed while writing may refuse this too."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def drop_older(kept: Path, name: str) -> None:
    """Of the files called `name` beside `kept`, leave only the newest: two in all."""
    with suppress(OSError):  # what can't be removed is kept
        others = [path for path in kept.parent.glob(f"{name}-*.safetensors") if path != kept]
        for path in sorted(others, key=lambda path: path.stat().st_mtime_ns)[:-1]:
            path.unlink(missing_ok=True)


def drop_unkept(home: Home, study_id: StudyId, kept: Collection[str]) -> int:
    """Remove the study's files that no checkpoint lies in; how many. `kept`: paths as they were registered."""
    whole = {(home.checkpoints / path).resolve() for path in kept}
    lost = [
        path
        for path in checkpoint_folder(home, study_id).glob("*/*.safetensors")
        if path.resolve() not in whole
    ]
    for path in lost:
        path.unlink(missing_ok=True)
    return len(lost)


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
    """(size, SHA-256) of what was written and synced."""
    digest = hashlib.sha256()
    size = 0
    file = await anyio.to_thread.run_sync(_create, path)
    try:
        buffer = bytearray()
        async for chunk in chunks:
            buffer += chunk
            size += len(chunk)
            if len(buffer) >= BUFFER:
                await anyio.to_thread.run_sync(_append, file, bytes(buffer), digest)
                buffer.clear()
        await anyio.to_thread.run_sync(_append, file, bytes(buffer), digest)
        await anyio.to_thread.run_sync(_sync, file)
    finally:
        await anyio.to_thread.run_sync(partial(file.close))
    return size, digest.hexdigest()


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


def _append(file: BinaryIO, data: bytes, digest: "hashlib._Hash") -> None:
    file.write(data)
    digest.update(data)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename_durably(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
