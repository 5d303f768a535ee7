"""The examinations of `hpsearch doctor`, each a function from a place on this machine to a finding."""

import importlib.metadata
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from hpsearch.cli.connect import named_client, running
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.server_url import server_url

GIB = 2**30
LEAST_FREE_BYTES = 1 * GIB
WANTED_FREE_BYTES = 5 * GIB
CLOCK_SECONDS = 60.0
MOST_BYTES = 2**16  # of a server's answer
# sqlite.org/wal.html#walresetbug: two connections that write and checkpoint at once can lose commits.
WAL_BUG_FIRST, WAL_BUG_FIXED = (3, 7, 0), (3, 51, 3)
WAL_BUG_BACKPORTS = {(3, 50): 7, (3, 44): 6}
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "lustre"})
TORCH_PROBE = """
import json, torch
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
}))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where nothing needs doing."""

    name: str
    state: Literal["ok", "warning", "broken"]
    text: str
    remedy: str = ""


def examine(home: Home, data: Path, server: str | None, token: str | None) -> list[Finding]:
    """Everything, in the order in which a user would mend it."""
    return [
        python(),
        *torch(),
        sqlite(sqlite3.sqlite_version_info),
        home_folder(home),
        file_system(home.path),
        writable("data", data),
        disk(home.path),
        *reachable(home, server, token),
    ]


def python() -> Finding:
    version = platform.python_version()
    if sys.platform != "linux":
        return Finding(
            "python", "warning", f"{version} on {sys.platform}",
            "workers are at home on Linux; elsewhere each pack starts a new interpreter",
        )  # fmt: skip
    return Finding("python", "ok", f"{version} on {platform.machine()}, hpsearch {_version('hpsearch')}")


def torch() -> list[Finding]:
    """PyTorch and GPUs, asked in a process of its own: a broken driver can take its process down."""
    try:
        found = subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-P", "-c", TORCH_PROBE],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [
            Finding("torch", "broken", "did not import within 120 s", "check the GPU driver with nvidia-smi")
        ]
    if found.returncode != 0:
        missing = "No module named 'torch'" in found.stderr
        words = (found.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return [
            Finding("torch", "warning", "not installed: this machine can serve but not train", "pip install 'hpsearch[torch]'")
            if missing
            else Finding("torch", "broken", words, "reinstall it: pip install --force-reinstall torch")
        ]  # fmt: skip
    facts = json.loads(found.stdout.splitlines()[-1])
    return [Finding("torch", "ok", facts["version"]), _gpus(facts)]


def _gpus(facts: dict[str, object]) -> Finding:
    gpus = facts["gpus"]
    assert isinstance(gpus, list)
    if gpus:
        return Finding("gpu", "ok", ", ".join(str(name) for name in gpus))
    if not Path("/dev/nvidiactl").exists():
        return Finding("gpu", "ok", f"none; {os.cpu_count()} CPU cores are used")
    if facts["cuda"] is None:
        return Finding(
            "gpu", "broken", "there is an NVIDIA GPU, but this PyTorch was built without CUDA",
            "install the CUDA build: see pytorch.org/get-started",
        )  # fmt: skip
    return Finding(
        "gpu", "broken", f"there is an NVIDIA GPU, but PyTorch (CUDA {facts['cuda']}) can't use it",
        "the driver is probably older than this CUDA: update it, or install a PyTorch for an older CUDA",
    )  # fmt: skip


def sqlite(version: tuple[int, ...]) -> Finding:
    """SQLite's version; those with the WAL-reset bug are safe here only because one process writes."""
    text = ".".join(str(part) for part in version)
    if has_wal_bug(version):
        return Finding(
            "sqlite", "warning", f"{text} has the WAL-reset bug (3.7.0 to 3.51.2)",
            "hpsearch writes through one connection and is safe; let no other program write its database file",
        )  # fmt: skip
    return Finding("sqlite", "ok", text)


def has_wal_bug(version: tuple[int, ...]) -> bool:
    fixed = WAL_BUG_BACKPORTS.get((version[0], version[1]))
    backported = fixed is not None and version[2] >= fixed
    return WAL_BUG_FIRST <= version[:3] < WAL_BUG_FIXED and not backported


def writable(name: str, path: Path) -> Finding:
    """Whether a folder, or the nearest one above it that exists, can be written."""
    place = nearest_existing(path)
    probe = place / f".hpsearch-doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Finding(
            name, "broken", f"{path} can't be written: {error.strerror}", "choose another with --" + name
        )
    return Finding(name, "ok", str(path))


def home_folder(home: Home) -> Finding:
    """Whether the home can be written, and is one: a mistyped one is not."""
    finding = writable("home", home.path)
    if finding.state != "ok":
        return finding
    try:
        home.existing()
    except HpsearchError as error:
        return Finding("home", "warning", error.message, error.hint or "")
    return finding


def file_system(path: Path) -> Finding:
    """SQLite's locks don't hold on network file systems."""
    kind = file_system_of(nearest_existing(path))
    if kind in NETWORK_FILE_SYSTEMS:
        return Finding(
            "file system", "broken", f"{path} is on {kind}, where SQLite's locks do not hold",
            "put the home on a local disk, or use Postgres (--database-url)",
        )  # fmt: skip
    return Finding("file system", "ok", kind or "unknown")


def file_system_of(path: Path) -> str:
    """The type of the file system that `path` is on, by the longest mount point above it; Linux only."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    resolved = path.resolve()
    above = [m for m in mounts if len(m) > 2 and resolved.is_relative_to(m[1].replace("\\040", " "))]
    return max(above, key=lambda m: len(m[1]))[2] if above else ""


def disk(path: Path) -> Finding:
    free = shutil.disk_usage(nearest_existing(path)).free
    text = f"{free / GIB:.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "broken", text, "make room: the server refuses writes on a full disk")
    if free < WANTED_FREE_BYTES:
        return Finding("disk", "warning", text, "checkpoints of larger models need more")
    return Finding("disk", "ok", text)


def reachable(home: Home, server: str | None, token: str | None) -> list[Finding]:
    """The server that commands would talk to, whether the token is good, and how far its clock is."""
    if server is None:
        address = running(home)
        if address is None:
            return [Finding("server", "ok", "none runs on this home; commands start one when they need it")]
        server, token = address.url, home.read_token()
    try:
        with named_client(server, token, home) as client:
            version = client.version()
            client.workers()
    except HpsearchError as error:
        return [
            Finding("server", "broken", error.message, error.hint or "check its address and HPSEARCH_TOKEN")
        ]
    base = server_url(server)
    return [
        readiness(base) or Finding("server", "ok", f"{server}, version {version.version}"),
        clock(base),
    ]


def readiness(server: str) -> Finding | None:
    """What keeps the server from its work; None where nothing does."""
    try:
        with urllib.request.urlopen(f"{server}/readyz", timeout=10):  # noqa: S310  # nosec B310
            return None
    except urllib.error.HTTPError as error:
        said = _checks(error.read(MOST_BYTES)) or f"it answered {error.code}"
    except OSError as error:
        said = str(error)
    return Finding(
        "server",
        "broken",
        f"{server} can't work now: {said}",
        "on its machine, see its log and `hpsearch db check`",
    )


def _checks(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(f"{name}: {words}" for name, words in checks.items() if words != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def clock(server: str) -> Finding:
    """How far this machine's clock is from the server's (HTTP's Date header has a resolution of 1 s)."""
    try:
        with urllib.request.urlopen(f"{server}/version", timeout=10) as answer:  # noqa: S310  # nosec B310
            there = parsedate_to_datetime(answer.headers["Date"])
    except (OSError, TypeError, ValueError):
        return Finding("clock", "warning", "the server does not tell its time")
    apart = abs((datetime.fromtimestamp(time.time(), UTC) - there).total_seconds())
    if apart > CLOCK_SECONDS:
        return Finding(
            "clock",
            "warning",
            f"{apart:.0f} s from the server's",
            "set it by NTP; leases do not depend on it",
        )
    return Finding("clock", "ok", f"within {max(apart, 1):.0f} s of the server's")


def nearest_existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if os.path.exists(p))  # noqa: PTH110 - false where it can't be told


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "from source"
