"""The checkpoints that a run left in its folder."""

import json
from pathlib import Path
from typing import Literal

from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE
from hpsearch.worker.pipe import Saved

_FILES: tuple[tuple[Literal["best", "last"], str], ...] = (("best", BEST_FILE), ("last", LAST_FILE))


def saved_in(folder: Path) -> tuple[Saved, ...]:
    """Those that are there and whole enough to say their step."""
    saved = []
    for name, file in _FILES:
        path = folder / file
        if path.exists() and (step := _step(path)) is not None:
            saved.append(Saved(name=name, step=step, path=path))
    return tuple(saved)


def _step(path: Path) -> int | None:
    """From a safetensors header: eight bytes of length, then JSON. The best says its step, the last its state."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            metadata = json.loads(file.read(size))["__metadata__"]
        return int(metadata["step"] if "step" in metadata else json.loads(metadata["state"])["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
