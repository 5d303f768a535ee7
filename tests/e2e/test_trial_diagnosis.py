"""A stored trial gets the verdict that the same run gets from `hpsearch.diagnose`, proved by its server's worker."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.judge import diagnose
from hpsearch.tasks import NamedTask
from hpsearch.training.resolution import resolved
from tests.e2e.program import run

pytestmark = pytest.mark.e2e

EPOCHS, BATCH, RATE = 12, 64, 1e-1
STUDY = f"""
name: planted
task: {{dataset: digits, model: mlp}}
method: grid
space: {{learning_rate: [{RATE / 1000}, {RATE}]}}
fixed: {{epochs: {EPOCHS}, batch_size: {BATCH}}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a study has ended, with a trial at a thousandth of a good learning rate and a healthy one."""
    return tmp_path_factory.mktemp("planted") / "home"


@pytest.fixture(scope="module")
def study(home: Path) -> Any:
    """Its record."""
    file = home.with_name("study.yaml")
    file.write_text(STUDY)
    answer = run(home, "run", str(file), "--json")
    assert answer.code == 0, answer.err
    return answer.document["study"]


def own_verdict(rate: float, tmp_path: Path) -> Any:
    """Of the same run, trained and probed in this process."""
    params = {"learning_rate": rate, "epochs": EPOCHS, "batch_size": BATCH}
    with resolved(NamedTask(dataset="digits", model="mlp"), None, tmp_path) as task:
        return diagnose(task, params)


def test_a_planted_fault_is_proved_and_the_study_stays_as_it_was(
    home: Path, study: Any, tmp_path: Path
) -> None:
    answer = run(home, "diagnose", "--trial", "1", "--json")
    assert answer.code == 0, answer.err
    assert "training the probes" in answer.err
    found, own = answer.document, own_verdict(RATE / 1000, tmp_path)
    assert (found["verdict"], found["passive"], found["state"]) == ("lr_too_low", False, "ended")
    assert found["probe"]["after"] > 0.5 > found["probe"]["before"]
    for part in ("verdict", "text", "confidence", "probe", "evidence", "segment"):
        assert found[part] == own[part], part
    assert found["cost"]["probe_steps"] == own["cost"]["probe_steps"] <= own["cost"]["run_steps"]
    assert run(home, "study", "show", "planted", "--json").document["study"] == study


def test_a_probe_that_trains_on_goes_on_from_a_repeat_of_the_run(
    home: Path, study: Any, tmp_path: Path
) -> None:
    assert study["state"] == "completed"
    answer = run(home, "diagnose", "--trial", "2", "--json")
    found, own = answer.document, own_verdict(RATE, tmp_path)
    assert found["verdict"] == "ok"
    assert found["text"] == own["text"]
    for kind in ("run_steps", "probe_steps"):
        assert found["cost"][kind] == own["cost"][kind]
    assert found["cost"]["probe_steps"] <= found["cost"]["run_steps"]
