from pathlib import Path

import pytest

from hpsearch.errors import InvalidInput
from hpsearch.paramsfile import load_params, parse_settings
from hpsearch.vocabulary import HYPERPARAMETERS, Knob, knobs_of

KNOBS = knobs_of({"width": Knob.parse({"type": "int", "low": 4, "high": 512, "default": 32})})


def test_values_come_in_their_knobs_types(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("learning_rate: 1e-4\nwidth: 64\nnesterov: true\nschedule: cosine\n")
    assert load_params(file, KNOBS) == {
        "learning_rate": 1e-4,
        "width": 64,
        "nesterov": True,
        "schedule": "cosine",
    }


def test_every_problem_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("batch_size: 32\nlearning_rat: 0.1\nmomentum: fast\nweight_decay: [0, 1]\n")
    with pytest.raises(InvalidInput) as caught:
        load_params(file, HYPERPARAMETERS)
    assert [problem.detail.removeprefix(f"{file}:") for problem in caught.value.problems] == [
        "2:1: unknown hyperparameter 'learning_rat'; did you mean 'learning_rate'?",
        "3:1: momentum must be a number, not 'fast'",
        "4:1: weight_decay must be one value, not [0, 1]",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("- 1\n", "is a mapping such as"), ("a: [\n", "p.yaml:2:1"), ("1: 2\n", "must be a word")],
)
def test_what_is_no_params_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=words):
        load_params(tmp_path / "p.yaml", KNOBS)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no params file") as caught:
        load_params(tmp_path / "p.yaml", KNOBS)
    assert "--set" in str(caught.value.hint)


def test_settings_read_as_yaml_writes_values() -> None:
    words = ["learning_rate=1e-2", "width=8", "nesterov=false", "optimizer=adam", "width=16"]
    assert parse_settings(words, KNOBS) == {
        "learning_rate": 0.01,
        "width": 16,
        "nesterov": False,
        "optimizer": "adam",
    }


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("learning_rate", "must read like learning_rate=0.1"),
        ("lerning_rate=1", "did you mean 'learning_rate'"),
        ("width=2.5", "whole number"),
        ("width=", "one value, not None"),
        ("optimizer=adm", "did you mean 'adam'"),
    ],
)
def test_wrong_setting_is_one_sentence(word: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse_settings([word], KNOBS)
