"""Checkpoint files, sent and fetched whole: the digest is compared at both ends."""

import hashlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from hpsearch.client.transport import PREFIX, Transport
from hpsearch.errors import HpsearchError, ServerUnreachable, TooLarge
from hpsearch.records import Checkpoint, RunId, TrialId, WorkerId

CHUNK = 2**20
# The server answers an upload when the whole file is synced: at so many bytes a second, in a queue behind others.
SLOWEST_DISK = 10e6
QUEUE_SECONDS = 20.0
DIGEST_SECONDS = 60.0  # and a download when it has read the whole file once
SPARED = 0.05  # of the disk, whatever the server sends


def upload(
    transport: Transport, run_id: RunId, worker_id: WorkerId, name: str, step: int, path: Path
) -> Checkpoint:
    """Send the file at `path`. Raises LeaseLost where the lease is over, TooLarge where the server's limit is lower."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    headers: Mapping[str, str] = {
        "X-Worker-Id": str(worker_id),
        "X-Content-SHA256": sha256,
        "Content-Type": "application/octet-stream",
    }

    def once() -> Checkpoint:
        with (
            path.open("rb") as file,
            transport.stream(
                "PUT",
                f"{PREFIX}/leases/{run_id}/checkpoints/{name}",
                params={"step": step},
                headers=headers,
                content=file,
                read_seconds=QUEUE_SECONDS + path.stat().st_size / SLOWEST_DISK,
            ) as response,
        ):
            response.read()
            return transport.parse(Checkpoint.model_validate_json, response)

    try:
        return transport.repeated(once)
    except TooLarge as error:
        raise TooLarge(
            f"checkpoint {name} of run {run_id} has {path.stat().st_size:,} bytes, more than {transport.url} takes",
            hint="set HPSEARCH_MAX_CHECKPOINT_BYTES for `hpsearch serve`, and the limit of a proxy before it",
        ) from error


def download(transport: Transport, trial_id: TrialId, name: str, path: Path) -> Path:
    """Fetch a trial's checkpoint to `path`, whole or not at all. Raises NotFound where it has none."""

    def once() -> Path:
        where = f"{PREFIX}/trials/{trial_id}/checkpoints/{name}"
        with transport.stream("GET", where, read_seconds=DIGEST_SECONDS) as response:
            expected = response.headers.get("X-Content-SHA256", "")
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            digest = hashlib.sha256()
            try:
                most = _room(path.parent)
                with temporary.open("wb") as file:
                    for chunk in response.iter_bytes(CHUNK):
                        most -= len(chunk)
                        if most < 0:
                            raise HpsearchError(f"checkpoint {name} of trial {trial_id} would fill this disk")
                        digest.update(chunk)
                        file.write(chunk)
                if digest.hexdigest() != expected:
                    raise ServerUnreachable(f"checkpoint {name} of trial {trial_id} arrived damaged")
                temporary.replace(path)
            except OSError as error:
                raise HpsearchError(f"can't write {path}: {error.strerror}") from None
            finally:
                temporary.unlink(missing_ok=True)
        return path

    return transport.repeated(once)


def _room(folder: Path) -> int:
    """Bytes that may be written before too little of the disk is left."""
    disk = shutil.disk_usage(folder)
    return disk.free - int(SPARED * disk.total)
