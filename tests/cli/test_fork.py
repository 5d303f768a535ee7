import json
from pathlib import Path

import pytest

from hpsearch.cli.fork import patch_of
from hpsearch.errors import InvalidInput
from tests.cli.conftest import Hpsearch

STUDY = """
name: first
task: {dataset: digits, model: mlp}
method: grid
space: {learning_rate: {low: 1e-3, high: 1e-1, log: true}}
grid: {learning_rate: 2}
"""


def test_settings_become_a_patch_of_the_spec() -> None:
    assert patch_of(["budget.trials=20", "fixed.optimizer=adam", "seed=3", "grid={}"]) == {
        "budget": {"trials": 20},
        "fixed": {"optimizer": "adam"},
        "seed": 3,
        "grid": {},
    }


@pytest.mark.parametrize("wrong", [["seed"], ["=3"], ["a..b=1"], ["a=1", "a.b=2"]])
def test_a_setting_that_is_none_is_told(wrong: list[str]) -> None:
    with pytest.raises(InvalidInput, match="--set"):
        patch_of(wrong)


def test_a_study_is_forked_with_changes(hpsearch: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    assert hpsearch("study", "create", tmp_path / "study.yaml").code == 0
    made = hpsearch("study", "fork", "first", "second", "--set", "grid.learning_rate=3", "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["trial_counts"]["waiting"] == 3
    again = hpsearch("study", "fork", "first", "second")
    assert again.code == 4
    assert "grid" in again.err
