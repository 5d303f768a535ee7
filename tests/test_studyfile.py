"""A study file becomes a spec, or one clear sentence for each thing that is wrong with it, with its place."""

import hashlib
from pathlib import Path

import pytest

from hpsearch import studyfile
from hpsearch.errors import InvalidInput
from hpsearch.tasks import FileTask, NamedTask

WHOLE = """\
task: {dataset: digits, model: mlp}
method: grid
space:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  weight_decay: [0, 1e-5, 1e-4]
grid: {learning_rate: 4}
fixed: {optimizer: sgd, batch_size: 0x20, shuffle: true}
"""

TASK = """
from hpsearch.training import Task

class Base(Task):
    metric = "accuracy"
    knobs = {"width": {"type": "int", "low": 4, "high": 64, "log": True, "default": 16}}

class Mine(Base):
    def model(self, params): raise RuntimeError("never run")

raise RuntimeError("never imported")
"""


def refusal(text: str, folder: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        studyfile.loads(text, folder=folder)
    assert "\n" not in caught.value.message
    return caught.value


def test_numbers_are_yaml_1_2(tmp_path: Path) -> None:
    spec = studyfile.loads(WHOLE, folder=tmp_path)
    assert spec.space["learning_rate"].grid(4) == [1e-4, 1e-3, 1e-2, 1e-1]
    assert spec.space["weight_decay"].choices == (0, 1e-5, 1e-4)
    assert spec.fixed == {"optimizer": "sgd", "batch_size": 32, "shuffle": True}
    assert type(spec.fixed["optimizer"]) is str
    assert type(spec.fixed["batch_size"]) is int


def test_name_defaults_to_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my_study"
    folder.mkdir()
    (folder / "study.yaml").write_text(WHOLE)
    assert studyfile.load(folder).name == "my-study"
    assert studyfile.load(folder / "study.yaml").name == "my-study"


def test_task_by_name(tmp_path: Path) -> None:
    task = studyfile.loads(WHOLE, folder=tmp_path).task
    assert task == NamedTask(dataset="digits", model="mlp")


def test_unknown_key_is_named_with_file_line_column_and_the_nearest_key(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("task: {dataset: digits, model: mlp}\nmethod: recipe\nspce: {}\n")
    with pytest.raises(InvalidInput) as caught:
        studyfile.load(tmp_path / "study.yaml")
    assert caught.value.message == f"{tmp_path}/study.yaml:3:1: unknown key 'spce'; did you mean 'space'?"


def test_every_problem_is_listed_in_the_file_s_order(tmp_path: Path) -> None:
    text = """\
task: {dataset: digit, model: resnet19}
space:
  learning_rate:
    low: 1
    high: 0.1
  weight_decay: {low: 0, high: 1, log: true}
"""
    problems = refusal(text, tmp_path).problems
    assert [p.pointer for p in problems] == [
        "/task/dataset", "/task/model", "/space/learning_rate", "/space/weight_decay",
    ]  # fmt: skip
    places = [p.detail.split(": ")[0] for p in problems]
    assert places == ["study.yaml:1:8", "study.yaml:1:24", "study.yaml:3:3", "study.yaml:6:3"]
    assert "did you mean 'digits'?" in problems[0].detail
    assert "did you mean 'resnet18'?" in problems[1].detail
    assert "must be less than" in problems[2].detail
    assert "can't reach zero" in problems[3].detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: {dataset: digits, model: mlp}\nfixed: {lerning_rate: 0.1}", "study.yaml:2:9: unknown hyperparameter 'lerning_rate'; did you mean 'learning_rate'?"),
        ("task: {dataset: digits, model: mlp}\nmethod: grid", "space is empty"),
        ("task: {dataset: digits, model: mlp}\nspace: {weight_decay: [0, 1, 1]}", "a choice stands twice"),
        ("task: {dataset: digits, model: mlp}\nmethod: grid\nspace: {learning_rate: {low: 1e-4, high: 1}}\ngrid: {learning_rate: 1000000000}", "1,000,000,000 trials"),
        ("method: recipe", "task is missing"),
        ("task: 3", "task must read like"),
        ("task: task.py", "task 'task.py' must read like"),
        ("task: {dataset: digits, model: mlp}\nname: ../x", "must be 1-100 letters"),
        ("task: {dataset: digits, model: mlp}\nseed: -1", "seed"),
        ("- a", "a study file is a mapping"),
        ("", "a study file is a mapping"),
        ("a: [", "study.yaml:1:"),
        ("a: 1\na: 2", "found duplicate key"),
        ("1: a", "must be a word"),
        ("a: 1\n---\nb: 1", "another document"),
        ("\0", "not YAML"),
        ("[" * 3000, "not YAML"),
        ("a: &a [*a]", "study.yaml:1:1: "),
    ],
)  # fmt: skip
def test_bad_file_gets_one_clear_sentence(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(text, tmp_path).message


def test_objects_of_python_are_not_made(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = WHOLE + f"description: !!python/object/apply:os.system ['touch {marker}']\n"
    refusal(text, tmp_path)
    assert not marker.exists()


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(levels)
    assert "too large" in refusal(text, tmp_path).message


def test_aliases_are_otherwise_fine(tmp_path: Path) -> None:
    text = WHOLE.replace("[0, 1e-5, 1e-4]", "&d [0, 1e-5, 1e-4]").replace("fixed:", "fixed: {}\n#")
    text += "\nspace2: *d"
    assert "unknown key 'space2'" in refusal(text, tmp_path).message


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("#" * 300_000)
    with pytest.raises(InvalidInput, match="larger than 256 KiB"):
        studyfile.load(tmp_path)


@pytest.mark.parametrize("name", ["absent", "absent/study.yaml"])
def test_missing_file_is_a_usage_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no study file") as caught:
        studyfile.load(tmp_path / name)
    assert caught.value.exit_code == 2


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        studyfile.load(tmp_path)


class TestTaskFile:
    def test_is_bound_by_digest_and_never_run(self, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text(TASK)
        spec = studyfile.loads(
            "task: task.py:Mine\nspace: {width: {low: 8, high: 32, type: int}}", folder=tmp_path
        )
        assert isinstance(spec.task, FileTask)
        assert spec.task.sha256 == hashlib.sha256(TASK.encode()).hexdigest()
        assert spec.task.metric == "accuracy"
        assert spec.task.knobs["width"].default == 16

    def test_missing_file_names_those_that_are_there(self, tmp_path: Path) -> None:
        (tmp_path / "tusk.py").write_text("")
        error = refusal("task: task.py:Mine", tmp_path)
        assert "no task file task.py" in error.message
        assert error.hint is not None
        assert "tusk.py" in error.hint

    def test_missing_class_names_the_nearest(self, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text(TASK)
        assert "unknown class 'Mime'; did you mean 'Mine'?" in refusal("task: task.py:Mime", tmp_path).message

    @pytest.mark.parametrize("path", ["../task.py", "/etc/task.py", "task.txt", "a/../../task.py"])
    def test_outside_its_folder_is_refused_unread(self, path: str, tmp_path: Path) -> None:
        inner = tmp_path / "inner"
        inner.mkdir()
        (tmp_path / "task.py").write_text(TASK)
        assert "inside the study's folder" in refusal(f"task: {path}:Mine", inner).message

    @pytest.mark.parametrize(
        ("knobs", "said"),
        [
            ("make_knobs()", "without names or calls"),
            ("[1]", "must be written out"),
            ("{'width': 3}", "must be written as"),
            ("{'width': {'low': 3, 'high': 2}}", "must be less than"),
            ("{'width': {'low': 3, 'high': 5, 'default': 9}}", "outside its own range"),
            ("{'width': {'lo': 3, 'high': 5}}", "width"),
        ],
    )
    def test_bad_knobs_are_named_with_their_line(self, knobs: str, said: str, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text(f"class Mine:\n    knobs = {knobs}\n")
        message = refusal("task: task.py:Mine", tmp_path).message
        assert "task.py:2: " in message
        assert said in message

    def test_syntax_error_is_named_with_its_line(self, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text("class Mine:\n  def\n")
        assert "task.py:2: " in refusal("task: task.py:Mine", tmp_path).message

    def test_class_that_is_its_own_base_does_not_loop(self, tmp_path: Path) -> None:
        (tmp_path / "task.py").write_text("class Mine(Mine):\n    metric = 'accuracy'\n")
        spec = studyfile.loads("task: task.py:Mine", folder=tmp_path)
        assert isinstance(spec.task, FileTask)
        assert spec.task.knobs == {}
