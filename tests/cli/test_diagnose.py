"""`hpsearch diagnose` of a log, a trial and a task: what it prints, and every way to ask wrongly."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.home import Home
from hpsearch.records import Outcome, Slot
from hpsearch.tasks import TASK_FILES
from hpsearch.wire import LeaseRequest, RegisterWorker, ReportRequest, RunReport
from tests.cli.conftest import Hpsearch

STUDIES = Path(__file__).parents[2] / "studies"
LOG = (Path(__file__).parents[1] / "logs" / "keras.csv").read_text()
TASK = """
import torch
from hpsearch.training import Data, Task

class Clusters(Task):
    knobs = {"width": {"type": "int", "low": 1, "high": 64, "default": 8}}

    def data(self, params, seed):
        print("a word on standard output")
        g = torch.Generator().manual_seed(0)
        y = torch.arange(300) % 3
        x = torch.randn(300, 2, generator=g) * 0.3 + torch.eye(3)[y][:, :2] * 3
        return Data((x[:200], y[:200]), (x[200:], y[200:]))

    def model(self, params):
        width = int(params["width"])
        return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))

class Broken(Clusters):
    def model(self, params):
        raise RuntimeError("no such layer\\nsecond line")
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "task.py"
    path.write_text(TASK)
    return path


# --- a log ---------------------------------------------------------------------------------------


def test_log_is_judged_with_evidence_and_says_that_it_is_passive(log: Path, hpsearch: Hpsearch) -> None:
    answer = hpsearch("diagnose", log)
    assert answer.code == 0  # a bad verdict is an answer, not an error
    lines = answer.out.splitlines()
    assert lines[0].startswith("overfit  validation lags training by 33.0 points")
    assert "passive, without a probe" in lines[1]
    assert "accuracy as train_accuracy, loss as train_loss, val_accuracy, val_loss" in answer.out
    assert "steps 3 to 10" in answer.out
    assert "<= 0.1" in answer.out
    assert "→ more regularization" in answer.out
    assert "to prove it: the same run with more weight decay or dropout" in answer.out
    assert "hpsearch diagnose task.py:MyModel" in answer.out


def test_log_s_oddities_are_warned_of_on_standard_error(log: Path, hpsearch: Hpsearch) -> None:
    answer = hpsearch("diagnose", log, "--json")
    assert answer.err == ""
    told = json.loads(answer.out)["warnings"]
    assert [warning.partition(": ")[2] for warning in told] == [
        "1 epoch stands twice; the last one counts",
        "1 gap, about 2 values missing",
    ]
    human = hpsearch("diagnose", log)
    assert human.err.count("warning: ") == 2


def test_json_is_one_document_in_the_interface_s_shape(log: Path, hpsearch: Hpsearch) -> None:
    found = json.loads(hpsearch("diagnose", log, "--json", "--classes", 3).out)
    assert found["verdict"] == "overfit"
    assert 0 < found["confidence"] < 1
    assert {"name", "value", "threshold", "ok", "text"} == set(found["evidence"][0])
    assert found["probe"] is None
    assert found["segment"] == [3, 10]
    assert set(found["remedy"]) == {"text", "changes", "grid"}
    assert found["passive"] is True
    assert found["columns"]["train_loss"] == "loss"


def test_short_log_is_not_enough_evidence(tmp_path: Path, hpsearch: Hpsearch) -> None:
    path = tmp_path / "short.csv"
    path.write_text("epoch,loss,val_loss\n1,2.0,2.1\n2,1.0,1.2\n")
    answer = hpsearch("diagnose", path)
    assert answer.code == 0
    assert answer.out.startswith("not_enough_evidence  too short to judge: 2 of train_loss, 2 of val_loss")
    assert "at least 3 values of val_loss are needed, 1 more" in answer.out


def test_user_says_what_columns_are_and_what_to_judge_by(tmp_path: Path, hpsearch: Hpsearch) -> None:
    path = tmp_path / "log.csv"
    path.write_text("t,a,b\n" + "".join(f"{i},{1 / i},{2 / i}\n" for i in range(1, 9)))
    refused = hpsearch("diagnose", path)
    assert refused.code == 2
    assert refused.err.startswith(f"Error: {path} has no column that reads as a loss or a metric")
    assert "--map" in refused.err
    words = ["--map", "a=train_loss", "--map", "b=val_loss", "--metric", "val_loss"]
    assert json.loads(hpsearch("diagnose", path, *words, "--json").out)["columns"] == {
        "train_loss": "a",
        "val_loss": "b",
    }
    wrong = hpsearch("diagnose", path, *words[:4], "--metric", "val_los")
    assert (wrong.code, "did you mean 'val_loss'?" in wrong.err) == (2, True)


def test_hyperparameters_of_the_run_count(log: Path, tmp_path: Path, hpsearch: Hpsearch) -> None:
    flat = tmp_path / "flat.csv"
    rows = "".join(f"{i},0.6,0.9,0.6,0.95\n" for i in range(1, 15))
    flat.write_text(LOG.splitlines()[0] + "\n" + rows)
    found = json.loads(hpsearch("diagnose", flat, "--set", "weight_decay=0.5", "--json").out)
    assert found["verdict"] == "over_regularized"
    params = tmp_path / "p.yaml"
    params.write_text("dropout: 0.8\n")
    assert (
        json.loads(hpsearch("diagnose", flat, "--params", params, "--json").out)["verdict"]
        == "over_regularized"
    )
    assert json.loads(hpsearch("diagnose", flat, "--json").out)["verdict"] != "over_regularized"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either SOURCE"),
        (["log.csv", "--trial", "1"], "not both"),
        (["log.csv", "--study", "x"], "--study needs --trial"),
        (["nowhere.csv"], "no file nowhere.csv"),
        (["log.csv", "--map", "loss"], "must read like COLUMN=val_loss"),
        (["log.csv", "--map", "los=val_loss"], "unknown column 'los'; did you mean 'loss'?"),
        (["log.csv", "--map", "loss=x", "--map", "accuracy=x"], "two columns the name 'x'"),
        (["log.csv", "--set", "wieght_decay=1"], "did you mean 'weight_decay'?"),
        (["log.csv", "--params", "nowhere.yaml"], "no params file nowhere.yaml"),
        (["task.py"], "task.py names no class"),
        (["nowhere.py:M"], "no task file nowhere.py"),
        (["--trial", "0"], "--study STUDY"),
    ],
)
def test_wrong_question_is_one_sentence(
    arguments: list[str], words: str, log: Path, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    answer = hpsearch("diagnose", *arguments, "--home", tmp_path / "home")
    assert answer.code == 2
    assert answer.out == ""
    assert words in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


# --- a trial -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home on which a server runs."""
    path = tmp_path_factory.mktemp("home")
    with background(Settings(home=Home.locate(path), port=0)):
        yield path


def test_trial_is_named_by_its_id_or_its_number_in_a_study(home: Path, hpsearch: Hpsearch) -> None:
    made = hpsearch("study", "create", STUDIES / "digits_grid", "--name", "judged", "--home", home)
    assert made.code == 0, made.err
    trials = json.loads(hpsearch("study", "trials", "judged", "--json", "--home", home).out)
    by_number = hpsearch("diagnose", "--trial", 1, "--study", "judged", "--home", home)
    by_id = hpsearch("diagnose", "--trial", trials[1]["id"], "--home", home)
    assert by_number.code == by_id.code == 4
    assert by_number.err == by_id.err
    assert f"trial {trials[1]['id']} is waiting; it can be judged once it has ended" in by_id.err
    assert hpsearch("diagnose", "--trial", 99, "--study", "judged", "--home", home).code == 3
    assert hpsearch("diagnose", "--trial", 1, "--study", "jugded", "--home", home).code == 3
    assert hpsearch("diagnose", "--trial", 10**9, "--home", home).code == 3
    hpsearch("trial", "stop", trials[1]["id"], "--home", home)
    ended = hpsearch("diagnose", "--trial", 1, "--study", "judged", "--home", home)
    assert ended.code == 0
    assert ended.out.startswith(
        "not_enough_evidence  the trial cancelled before its end: stopped by the user"
    )


def test_probes_of_a_study_s_own_task_need_its_folder(tmp_path: Path, hpsearch: Hpsearch) -> None:
    path = tmp_path / "home"
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "task.py").write_text(TASK)
    (tmp_path / "study" / "study.yaml").write_text(
        "{name: own, task: task.py:Clusters, method: grid, space: {learning_rate: [0.1]}, fixed: {epochs: 1}}"
    )
    with background(Settings(home=Home.locate(path), port=0)) as address:
        assert hpsearch("study", "create", tmp_path / "study", "--home", path).code == 0
        with Client(address.url, Home.locate(path).read_token()) as client:
            slots = (Slot(device="cpu", index=0, name="cpu"),)
            body = RegisterWorker(name="w", host="here", version="0", slots=slots, labels=(TASK_FILES,))
            worker = client.register_worker(body)
            asked = LeaseRequest(worker_id=worker.id, request_id="request-1", wait_seconds=0)
            (lease,) = client.lease(asked).leases
            outcome = Outcome(state="completed", value=0.5, measurements={"steps_per_epoch": 2.0})
            report = RunReport(run_id=lease.run_id, seq=0, outcome=outcome)
            client.report(ReportRequest(worker_id=worker.id, reports=(report,)))
    ask = ("diagnose", "--trial", lease.trial_id, "--home", path)
    answer = hpsearch(*ask)
    assert answer.code == 2
    assert f"trial {lease.trial_id} need the folder of task.py, the task of study 'own'" in answer.err
    assert "--tasks DIR" in answer.err
    assert hpsearch(*ask, "--tasks", tmp_path / "nowhere").code == 2
    assert "passive, without a probe" in hpsearch(*ask, "--no-probes").out


# --- a task --------------------------------------------------------------------------------------


def test_task_is_trained_and_its_output_stays_out_of_the_answer(task: Path, hpsearch: Hpsearch) -> None:
    words = [
        "--set",
        "learning_rate=0.1",
        "--set",
        "epochs=15",
        "--set",
        "batch_size=20",
        "--set",
        "width=16",
    ]
    answer = hpsearch("diagnose", f"{task}:Clusters", *words, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["verdict"] == "ok", found["text"]
    assert found["passive"] is False
    assert "a word on standard output" in answer.err


def test_task_with_a_wrong_learning_rate_is_found_out_by_a_probe(
    task: Path, hpsearch: Hpsearch, tmp_path: Path
) -> None:
    params = tmp_path / "p.yaml"
    params.write_text("learning_rate: 1e-4\nepochs: 15\nbatch_size: 20\n")
    answer = hpsearch("diagnose", f"{task}:Clusters", "--params", params)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("lr_too_low  ")
    assert "probe, the same run with learning_rate 0.3" in answer.out
    assert "try learning_rate: " in answer.out
    assert "cost: " in answer.out
    passive = json.loads(
        hpsearch("diagnose", f"{task}:Clusters", "--params", params, "--no-probes", "--json").out
    )
    assert passive["passive"] is True
    assert passive["probe"] is None


@pytest.mark.parametrize(
    ("source", "arguments", "code", "words"),
    [
        ("task.py:Cluster", [], 2, "unknown class 'Cluster'; did you mean 'Clusters'?"),
        (
            "task.py:Clusters",
            ["--set", "widht=3"],
            2,
            "unknown hyperparameter 'widht'; did you mean 'width'?",
        ),
        ("task.py:Clusters", ["--set", "width=0"], 2, "width = 0 is not a whole number between 1 and 64"),
        ("task.py:Broken", [], 1, "raised RuntimeError at task.py:21: no such layer"),
        ("bad.py:X", [], 1, "bad.py:1: "),
        ("exit.py:X", [], 1, "raised SystemExit at exit.py:1: 3"),
        ("task.py:torch", [], 1, "must be a subclass of hpsearch.training.Task"),
    ],
)
def test_what_a_task_got_wrong_is_one_sentence(
    source: str, arguments: list[str], code: int, words: str, task: Path, hpsearch: Hpsearch
) -> None:
    (task.parent / "bad.py").write_text("class X(\n")
    (task.parent / "exit.py").write_text("raise SystemExit(3)\n")
    answer = hpsearch("diagnose", source, *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.splitlines()) <= 2
