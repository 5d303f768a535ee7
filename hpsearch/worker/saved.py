"""The checkpoints that a run left in its folder."""

from pathlib import Path
from typing import Literal

from hpsearch.training.checkpoint import BEST_FILE, LAST_FILE, step_of
from hpsearch.worker.pipe import Saved

_FILES: tuple[tuple[Literal["best", "last"], str], ...] = (("best", BEST_FILE), ("last", LAST_FILE))


def saved_in(folder: Path) -> tuple[Saved, ...]:
    """Those that are there and whole enough to say their step."""
    saved = []
    for name, file in _FILES:
        path = folder / file
        if (step := step_of(path)) is not None:
            saved.append(Saved(name=name, step=step, path=path))
    return tuple(saved)
