"""A home's checkpoint files, held against what its database knows of them."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from hpsearch.home import Home
from hpsearch.store.stored_files import StoredFile


class Fault(StrEnum):
    """What may be wrong with a file, as the end of "2 are"."""

    MISSING = "missing"
    SIZE = "not of their size"
    CONTENT = "not what was stored (SHA-256)"


def faults(home: Home, files: Collection[StoredFile], *, quick: bool) -> dict[StoredFile, Fault]:
    """Those of the files that are not as they were stored; `quick` looks at sizes only."""
    found = ((file, _fault(home.checkpoints / file.path, file, quick=quick)) for file in files)
    return {file: fault for file, fault in found if fault is not None}


def said(home: Home, files: Sequence[StoredFile], wrong: Mapping[StoredFile, Fault]) -> str:
    """ "ok", or what is wrong in a sentence."""
    if not wrong:
        return "ok"
    if len(wrong) == len(files) and set(wrong.values()) == {Fault.MISSING}:
        return (
            f"none of the {len(files)} files is in {home.checkpoints}: start every server of one database on one "
            "HPSEARCH_HOME, or copy the checkpoints there"
        )
    return f"{counted(files, wrong)}; restore them from a backup"


def counted(files: Sequence[StoredFile], wrong: Mapping[StoredFile, Fault]) -> str:
    """How many are wrong in which way, and which one for example."""
    by_fault = ", ".join(f"{number} {fault}" for fault, number in Counter(wrong.values()).items())
    return f"of {len(files)} checkpoint files {by_fault}, first {next(iter(wrong)).path}"


def _fault(path: Path, file: StoredFile, *, quick: bool) -> Fault | None:
    try:
        if path.stat().st_size != file.size:
            return Fault.SIZE
        if quick:
            return None
        with path.open("rb") as stored:
            digest = hashlib.file_digest(stored, "sha256").hexdigest()
    except OSError:
        return Fault.MISSING
    return None if digest == file.sha256 else Fault.CONTENT
