"""The studies that ship can be run as they are."""

from pathlib import Path

import pytest

from hpsearch import studyfile
from hpsearch.tasks import FileTask

STUDIES = Path(__file__).parent.parent / "studies"
FOLDERS = sorted(path for path in STUDIES.iterdir() if (path / "study.yaml").exists())


def test_all_of_them_are_there() -> None:
    assert {folder.name for folder in FOLDERS} >= {
        "cifar10_resnet18", "digits_cnn", "digits_grid", "digits_mlp", "digits_random", "mnist_mlp", "my_model",
        "any_command",
    }  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_study_loads_and_is_named_like_its_folder(folder: Path) -> None:
    spec = studyfile.load(folder)
    assert spec.name == folder.name.replace("_", "-")
    assert f"\nname: {spec.name}\n" in (folder / "study.yaml").read_text()


def test_digits_grid_is_twelve_points_with_exact_ends() -> None:
    spec = studyfile.load(STUDIES / "digits_grid")
    assert spec.points() == 12
    assert spec.space["learning_rate"].grid(4) == [1e-4, 1e-3, 1e-2, 1e-1]


def test_knobs_read_from_source_are_those_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    task = studyfile.load(STUDIES / "my_model").task
    assert isinstance(task, FileTask)
    namespace: dict[str, object] = {}
    source = (STUDIES / "my_model" / "task.py").read_text()
    exec(compile(source, "task.py", "exec"), namespace)
    mine = namespace["MyModel"]
    assert set(task.knobs) == set(mine.knobs)  # type: ignore[attr-defined]
    assert task.knobs["width"].default == mine.knobs["width"]["default"]  # type: ignore[attr-defined]
    assert task.metric == mine.metric  # type: ignore[attr-defined]


def test_model_of_the_tutorial_learns_nothing_from_its_test_data() -> None:
    """Its parts are disjoint and whole: 178 wines, none twice."""
    namespace: dict[str, object] = {}
    exec(compile((STUDIES / "my_model" / "task.py").read_text(), "task.py", "exec"), namespace)
    data = namespace["MyModel"]().data({"width": 32}, 0)  # type: ignore[operator]
    parts = [data.train[0], data.validation[0], data.test[0]]
    rows = [tuple(row.tolist()) for part in parts for row in part]
    assert len(rows) == 178
    assert len(set(rows)) == len(rows)
