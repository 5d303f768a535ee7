"""Bad input: one clear sentence, the right exit code, no traceback, nothing stored."""

import socket
from pathlib import Path

import pytest

from tests.e2e.program import STUDIES, Answer, run

pytestmark = pytest.mark.e2e

HEAD = "name: bad\ntask: {dataset: digits, model: mlp}\nmethod: grid\n"
GRID = HEAD + "space:\n  learning_rate: {low: 1e-4, high: 0.1, log: true}\ngrid: {learning_rate: 4}\n"


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, (answer.code, answer.err)
    assert answer.out == ""
    assert "Traceback" not in answer.err
    sentence = answer.err.strip().splitlines()
    assert len(sentence) <= 4, answer.err
    for word in words:
        assert word in answer.err, answer.err


def written(folder: Path, text: str) -> str:
    (folder / "study.yaml").write_text(text)
    return str(folder / "study.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GRID.replace("space", "spce"), ["study.yaml:4:1", "unknown key 'spce'", "'space'"]),
        (GRID.replace("low: 1e-4", "low: 1"), ["study.yaml:5:3", "low (1) must be less than high (0.1)"]),
        (GRID.replace("low: 1e-4", "low: 0"), ["a log axis can't reach zero"]),
        (GRID.replace("digits", "digit"), ["unknown data set 'digit'", "'digits'"]),
        (GRID.replace("mlp", "mpl"), ["unknown model 'mpl'", "'mlp'"]),
        (GRID.replace("learning_rate: 4", "learning_rate: 1000000000"), ["1,000,000,000 trials", "at most 1,000,000"]),
        (HEAD + "space: {}\n", ["space is empty"]),
        (HEAD + "space: [\n", ["study.yaml"]),
    ],
    ids=["unknown key", "low above high", "log through zero", "data set", "model", "huge grid", "empty space", "not YAML"],
)  # fmt: skip
def test_a_wrong_study_file_is_a_usage_error_and_starts_nothing(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    refused(run(tmp_path / "home", "run", written(tmp_path, text)), 2, *words)
    assert not (tmp_path / "home").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refused(run(tmp_path / "home", "run", str(tmp_path / "nowhere")), 2, "nowhere")


def test_a_server_that_is_gone_is_exit_code_5(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    answer = run(tmp_path / "home", "study", "list", "--server", url, HPSEARCH_TOKEN="x")
    refused(answer, 5, url)


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(run(tmp_path / "home", "serve", "--port", port), 1, port, "already in use")


def test_a_data_set_that_cannot_be_had_fails_with_what_to_do(tmp_path: Path) -> None:
    text = GRID.replace("digits", "mnist").replace("learning_rate: 4", "learning_rate: 2")
    blocked = tmp_path / "data"
    blocked.write_text("a file where the data folder should be")
    answer = run(tmp_path / "home", "run", written(tmp_path, text), "--data", str(blocked))
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert "data set mnist" in answer.err
    assert "--data" in answer.err


def test_an_unknown_study_is_exit_code_3_with_the_nearest_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    created = run(home, "study", "create", str(STUDIES / "digits_grid"), "--json")
    assert created.code == 0, created.err
    refused(run(home, "study", "show", "digits-gird"), 3, "digits-gird", "digits-grid")


def test_a_dry_run_shows_the_exact_points_and_stores_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    preview = run(home, "study", "create", str(STUDIES / "digits_grid"), "--dry-run", "--json")
    assert preview.code == 0, preview.err
    assert preview.document["trials"] == 12
    assert {point["learning_rate"] for point in preview.document["points"]} == {1e-4, 1e-3, 1e-2, 1e-1}
    listed = run(home, "study", "list", "--json")
    assert listed.code == 0
    assert "digits-grid" not in listed.out
