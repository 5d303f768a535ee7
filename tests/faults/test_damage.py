"""T11: a checkpoint that was damaged anywhere is not handed out."""

import hashlib
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from api.checkpoints import is_intact
from hpsearch.records import Checkpoint, RunId, TrialId
from tests.faults.conftest import Figure


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Checkpoint]:
    content = save({"weight": torch.randn(64, 32, generator=torch.Generator().manual_seed(0))})
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return path, Checkpoint(
        trial_id=TrialId(1), run_id=RunId(1), name="last", step=1, size=len(content), sha256=sha256
    )


def test_one_flipped_bit_or_a_cut_at_any_of_a_hundred_places_is_noticed(
    stored: tuple[Path, Checkpoint], figure: Figure
) -> None:
    path, checkpoint = stored
    whole = path.read_bytes()
    assert is_intact(path.parent, checkpoint, path)
    rng = random.Random(0)
    for offset in rng.sample(range(len(whole)), 100):
        flipped = bytearray(whole)
        flipped[offset] ^= 1 << rng.randrange(8)
        for damaged in (bytes(flipped), whole[:offset]):
            path.write_bytes(damaged)
            assert not is_intact(path.parent, checkpoint, path)
    figure("T11 damaged checkpoints", "a bit flipped, and a cut, at 100 places each", notes="all noticed")
