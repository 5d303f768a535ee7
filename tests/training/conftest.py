from pathlib import Path

import pytest

from hpsearch.training.program import Place
from tests.training.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Place("cpu", tmp_path / "work", tmp_path / "data", None))
