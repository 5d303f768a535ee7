"""What a study may say of a command, and the arguments that a trial of it gets."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from hpsearch import studyfile
from hpsearch.command import CommandTask, arguments, variables
from hpsearch.errors import InvalidInput
from hpsearch.samplers import grid
from hpsearch.service.preview import preview
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.spec_changes import changed_keys

GRID = (
    "method: grid\nspace: {lr: [0.1, 0.01], depth: [1, 2]}\nobjective: {metric: loss, direction: minimize}\n"
)


def loaded(text: str, tmp_path: Path) -> StudySpec:
    return studyfile.loads(text, folder=tmp_path)


def argv_of(*words: str, flags: bool = False, **params: Any) -> list[str]:
    return arguments(CommandTask(argv=words, flags=flags), params, seed=7, replicate=2)


def test_a_text_is_split_into_arguments_and_a_list_is_taken_as_it_is(tmp_path: Path) -> None:
    for words in ("python train.py --name 'a b' --lr {lr}", '[python, train.py, --name, a b, --lr, "{lr}"]'):
        task = loaded(f"command: {words}\n{GRID}", tmp_path).task
        assert task == CommandTask(argv=("python", "train.py", "--name", "a b", "--lr", "{lr}"))


def test_placeholders_stand_anywhere_in_an_argument_and_braces_can_be_said() -> None:
    argv = argv_of(
        "run", "lr={lr}/x{depth}", "{{lr}}", '{"a": {"b": 1}}', "{seed}-{replicate}", lr=1e-5, depth=3
    )
    assert argv == ["run", "lr=1e-05/x3", "{lr}", '{"a": {"b": 1}}', "7-2"]


def test_a_value_stays_one_argument_whatever_it_says() -> None:
    evil = "a b; rm -rf / $(id) `id` {lr} \"'"
    assert argv_of("run", "--x={x}", x=evil, lr=1) == ["run", f"--x={evil}"]
    assert argv_of("run", flags=True, x=evil) == ["run", "--x", evil]


def test_flags_are_appended_for_what_no_placeholder_names() -> None:
    argv = argv_of("run", "{lr}", flags=True, lr=0.1, depth=3, fast=True, name="x")
    assert argv == ["run", "0.1", "--depth", "3", "--fast", "true", "--name", "x"]
    assert argv_of("run", lr=0.1) == ["run"]


def test_variables_hold_each_parameter_and_all_of_them() -> None:
    assert variables({"optim.lr": 0.1, "fast": False}) == {
        "HPSEARCH_PARAMS": '{"optim.lr": 0.1, "fast": false}',
        "HPSEARCH_PARAM_OPTIM_LR": "0.1",
        "HPSEARCH_PARAM_FAST": "false",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: run {lrr}\n" + GRID, "study.yaml:1:1: command names {lrr}, which is not under space or fixed; did you mean {lr}?"),
        ("command: run\nspace: {lr: [1]}", "a command needs method grid or random"),
        ("command: run 'x\n" + GRID, "study.yaml:1:1: command can't be split into arguments: no closing quotation"),
        ("command: ''\n" + GRID, "command must read like"),
        ("command: 3\n" + GRID, "command must read like"),
        ("command: {run: x, flag: true}\n" + GRID, "study.yaml:1:19: unknown key 'flag'; did you mean 'flags'?"),
        ("command: {run: x, folder: ../y}\n" + GRID, "study.yaml:1:19: folder must lie inside"),
        ("command: {run: x, folder: /y}\n" + GRID, "folder must lie inside"),
        ("command: {run: x, pattern: 'loss=(.*)'}\n" + GRID, "study.yaml:1:19: pattern needs a named group"),
        ("command: {run: x, pattern: 'los=(?P<los>.*)'}\n" + GRID, "unknown metric 'loss'; did you mean 'los'?"),
        ("command: run\ntask: {dataset: digits, model: mlp}\n" + GRID, "either a task or a command"),
        ("command: run\nfixed: {a-b: 1, a.b: 2}\n" + GRID, "would share the variable HPSEARCH_PARAM_A_B"),
        ("command: run\nfixed: {'a b': 1}\n" + GRID, "parameter 'a b' must be"),
        ("command: run\nfixed: {a: .nan}\n" + GRID, "a must be finite"),
        ("command: run\nfixed: {lr: 1}\n" + GRID, "lr stands under both space and fixed"),
        ('command: [run, "\\0"]\n' + GRID, "without NUL"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_when_the_study_is_made(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(text, tmp_path)
    assert said in refused.value.message


def test_keys_that_change_the_surroundings_are_refused() -> None:
    for key, value in [("environment", {"LD_PRELOAD": "x.so"}), ("working_dir", "/"), ("shell", True)]:
        task = {"kind": "command", "argv": ["run"], key: value}
        with pytest.raises(InvalidInput) as refused:
            parse_spec({"name": "x", "task": task, "method": "grid", "space": {"lr": [1]}})
        assert refused.value.problems[0].pointer == f"/task/{key}"


def test_the_script_that_a_command_names_is_bound_to_its_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("train.py", "data.csv", "sub/train.py"):
        (tmp_path / name).write_text(name)
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("train.py", "sub/train.py")}
    for text, script, of in [
        ("python train.py data.csv", "train.py", "train.py"),
        ("./train.py --lr {lr}", "train.py", "train.py"),
        ("{run: python train.py, folder: sub}", "train.py", "sub/train.py"),
        ("python sub/train.py", "sub/train.py", "sub/train.py"),
    ]:
        task = loaded(f"command: {text}\n{GRID}", tmp_path).task
        assert isinstance(task, CommandTask)
        assert (task.script, task.sha256) == (script, digests[of])
    (tmp_path / "out.py").symlink_to("/bin/sh")
    for text in (
        "python -m train",
        "python {lr}.py",
        "python out.py",
        f"python {tmp_path}/train.py",
        "x" * 5000,
    ):
        task = loaded(f"command: {text}\n{GRID}", tmp_path).task
        assert isinstance(task, CommandTask)
        assert task.script is None
    before = loaded(f"command: python train.py\n{GRID}", tmp_path)
    (tmp_path / "train.py").write_text("changed")
    assert changed_keys(before, loaded(f"command: python train.py\n{GRID}", tmp_path)) == ["task.sha256"]


def test_a_digest_needs_its_script_and_a_script_its_folder() -> None:
    for wrong in ({"script": "a.py"}, {"sha256": "0" * 64}, {"script": "../a.py", "sha256": "0" * 64}):
        with pytest.raises(ValueError, match=r"go together|must lie inside"):
            CommandTask(argv=("run",), **wrong)


def test_preview_has_the_points_and_claims_no_epochs(tmp_path: Path) -> None:
    shown = preview(loaded(f"command: run\nfixed: {{batch_size: auto, epochs: many}}\n{GRID}", tmp_path))
    assert shown.text == "4 trials: 4 points"
    assert shown.points[0] == {"lr": 0.1, "depth": 1}


def test_trials_have_no_budget_of_epochs(tmp_path: Path) -> None:
    plans = list(grid.plan(loaded(f"command: run\nreplicates: 2\n{GRID}", tmp_path)))
    assert len(plans) == 8
    assert {plan.budget for plan in plans} == {None}
