"""Logs as other tools write them, read as curves in our names; every oddity is counted."""

import json
import math
from pathlib import Path

import pytest

from hpsearch.errors import InvalidInput
from hpsearch.runlog import RunLog, read_run_log

KERAS = """epoch,accuracy,learning_rate,loss,val_accuracy,val_loss
0,0.41,0.01,1.9,0.5,1.7
1,0.62,0.01,1.2,0.6,1.3
2,0.75,0.001,0.9,0.66,1.1
"""
LIGHTNING = """epoch,lr-Adam,step,train_acc_epoch,train_loss_epoch,train_loss_step,val_acc,val_loss
,0.001,0,,,,,
0,,4,,,2.1,,
0,,9,,,1.8,,
0,,9,,,,0.4,1.9
0,,9,0.35,1.95,,,
1,,14,,,1.5,,
1,,19,,,1.2,,
1,,19,,,,0.6,1.4
1,,19,0.55,1.35,,,
"""
TRAINER_STATE = {
    "best_metric": None,
    "log_history": [
        {"epoch": 0.5, "grad_norm": 1.2, "learning_rate": 5e-5, "loss": 2.0, "step": 50},
        {"epoch": 1.0, "grad_norm": 1.1, "learning_rate": 4e-5, "loss": 1.5, "step": 100},
        {"epoch": 1.0, "eval_accuracy": 0.5, "eval_loss": 1.6, "eval_runtime": 3.0, "step": 100},
        {"epoch": 1.5, "grad_norm": 1.0, "learning_rate": 3e-5, "loss": 1.2, "step": 150},
        {"epoch": 2.0, "grad_norm": 0.9, "learning_rate": 2e-5, "loss": 1.0, "step": 200},
        {"epoch": 2.0, "eval_accuracy": 0.6, "eval_loss": 1.3, "eval_runtime": 3.0, "step": 200},
        {"epoch": 2.0, "step": 200, "total_flos": 1e12, "train_loss": 1.4, "train_runtime": 60.0},
    ],
}


def written(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(folder: Path, text: str, name: str = "log.csv") -> RunLog:
    return read_run_log(written(folder, text, name))


def refusal(path: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_run_log(path)
    assert "\n" not in caught.value.message
    return caught.value


# --- whose log it is -----------------------------------------------------------------------------


def test_keras_epochs_become_evaluations(tmp_path: Path) -> None:
    log = read(tmp_path, KERAS)
    assert set(log.curves) == {"train_accuracy", "learning_rate", "train_loss", "val_accuracy", "val_loss"}
    assert log.curves["train_loss"] == ([0, 1, 2], [1.9, 1.2, 0.9])
    assert log.columns["train_loss"] == "loss"
    assert (log.axis, log.warnings) == ("epoch", ())


def test_lightning_s_blank_cells_are_other_metrics_rows(tmp_path: Path) -> None:
    log = read(tmp_path, LIGHTNING)
    assert log.curves["loss"] == ([4, 9, 14, 19], [2.1, 1.8, 1.5, 1.2])
    assert log.curves["train_loss"] == ([9, 19], [1.95, 1.35])
    assert log.curves["val_loss"] == ([9, 19], [1.9, 1.4])
    assert log.curves["learning_rate"] == ([0], [0.001])
    assert log.curves["val_accuracy"][1] == [0.4, 0.6]
    assert (log.axis, log.warnings) == ("step", ())


@pytest.mark.parametrize("lines", [False, True], ids=["trainer_state.json", "JSON lines"])
def test_hf_trainer_s_losses_are_of_minibatches_and_its_summary_is_left_out(
    tmp_path: Path, lines: bool
) -> None:
    history = TRAINER_STATE["log_history"]
    assert isinstance(history, list)
    text = "\n".join(json.dumps(row) for row in history) if lines else json.dumps(TRAINER_STATE)
    log = read(tmp_path, text, "trainer_state.json")
    assert log.curves["loss"] == ([50, 100, 150, 200], [2.0, 1.5, 1.2, 1.0])
    assert log.curves["val_loss"] == ([100, 200], [1.6, 1.3])
    assert log.curves["val_accuracy"] == ([100, 200], [0.5, 0.6])
    assert log.curves["grad_norm"][1] == [1.2, 1.1, 1.0, 0.9]
    assert "train_loss" not in log.curves
    assert log.warnings == ()


def test_wandb_s_chart_export_of_one_run(tmp_path: Path) -> None:
    text = '"Step","calm-sun-1 - val/loss","calm-sun-1 - val/loss__MIN","calm-sun-1 - val/loss__MAX"\n1,2.0,2.0,2.0\n2,1.5,1.5,1.5\n'
    log = read(tmp_path, text)
    assert log.curves == {"val_loss": ([1, 2], [2.0, 1.5])}


def test_wandb_s_chart_export_of_two_runs_asks_which(tmp_path: Path) -> None:
    text = "Step,calm-sun-1 - val_loss,red-moon-2 - val_loss\n1,2.0,2.1\n2,1.5,1.6\n"
    error = refusal(written(tmp_path, text))
    assert "2 runs (calm-sun-1, red-moon-2)" in error.message
    chosen = read_run_log(written(tmp_path, text), names={"red-moon-2 - val_loss": "val_loss"})
    assert chosen.curves["val_loss"][1] == [2.1, 1.6]


def test_wandb_s_history_export(tmp_path: Path) -> None:
    rows = [{"_step": 3, "_runtime": 9.5, "_timestamp": 1.7e9, "train/loss": 2.0, "val/acc": None},
            {"_step": 7, "_runtime": 19.5, "_timestamp": 1.7e9, "train/loss": 1.0, "val/acc": 0.5}]  # fmt: skip
    log = read(tmp_path, json.dumps(rows), "history.json")
    assert log.curves["loss"] == ([3, 7], [2.0, 1.0])
    assert log.curves["val_accuracy"] == ([7], [0.5])


def test_tensorboard_s_nameless_column_takes_the_tag_of_its_file(tmp_path: Path) -> None:
    text = "Wall time,Step,Value\n1.7e9,0,2.0\n1.7e9,1,1.0\n"
    name = "run-fit_validation-tag-epoch_loss.csv"
    assert read(tmp_path, text, name).curves == {"val_loss": ([0, 1], [2.0, 1.0])}
    assert "--metric" in str(refusal(written(tmp_path, text, "x.csv")).hint)
    said = read_run_log(written(tmp_path, text, "x.csv"), metric="val_accuracy")
    assert said.curves == {"val_accuracy": ([0, 1], [2.0, 1.0])}


def test_our_own_curves_keep_their_names_and_their_nan(tmp_path: Path) -> None:
    own = {
        "loss": {"steps": [1, 2, 3, 4], "values": [2.0, 1.0, 0.5, "NaN"]},
        "train_loss": {"steps": [2, 4], "values": [1.1, 0.6]},
        "val_loss": {"steps": [2, 4], "values": [1.2, 0.9]},
        "update_ratio": {"steps": [1], "values": [1e-3]},
    }
    log = read(tmp_path, json.dumps(own), "curves.json")
    assert set(log.curves) == set(own)
    assert log.curves["train_loss"] == ([2, 4], [1.1, 0.6])
    assert math.isnan(log.curves["loss"][1][-1])


def test_keras_history_written_as_json(tmp_path: Path) -> None:
    history = {"loss": [2.0, 1.0], "val_loss": [2.1, 1.5], "params": {"epochs": 2}}
    log = read(tmp_path, json.dumps(history), "history.json")
    assert log.curves == {"train_loss": ([1, 2], [2.0, 1.0]), "val_loss": ([1, 2], [2.1, 1.5])}
    assert log.axis == "row"


def test_semicolons_tabs_and_decimal_commas(tmp_path: Path) -> None:
    assert read(tmp_path, "step;val_loss\n1;0,5\n2;0,25\n").curves["val_loss"][1] == [0.5, 0.25]
    assert read(tmp_path, "step\tval_loss\n1\t0.5\n2\t0.25\n").curves["val_loss"][1] == [0.5, 0.25]


def test_user_s_word_wins_over_every_guess(tmp_path: Path) -> None:
    path = written(tmp_path, "step,a,loss\n1,1.0,5.0\n2,0.5,4.0\n")
    log = read_run_log(path, names={"a": "val_loss", "loss": "train_loss"})
    assert log.columns == {"val_loss": "a", "train_loss": "loss"}


# --- what was odd --------------------------------------------------------------------------------


def test_unsorted_duplicated_missing_and_nan_steps_are_counted(tmp_path: Path) -> None:
    rows = ["step,val_loss", "1,3.0", "2,nan", "4,2.0", "3,2.5", "3,2.4", "9,1.0", "10,0.9", "11,inf", "12,x"]
    log = read(tmp_path, "\n".join(rows) + "\n")
    assert log.curves["val_loss"][0] == [1, 2, 3, 4, 9, 10, 11]
    assert log.curves["val_loss"][1][2] == 2.4
    assert log.warnings == (
        "val_loss: 1 cell is not a number; left out",
        "val_loss: 1 step stands twice; the last one counts",
        "val_loss: 1 step is out of order; sorted",
        "val_loss: 2 values are NaN or infinite",
        "val_loss: 1 gap, about 4 values missing",
    )


def test_same_oddity_of_several_columns_is_told_once(tmp_path: Path) -> None:
    log = read(tmp_path, KERAS + "2,0.76,0.001,0.8,0.67,1.0\n")
    assert log.warnings == (
        "learning_rate, train_accuracy, train_loss, val_accuracy, val_loss: 1 epoch stands twice; the last one counts",
    )


def test_torn_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    text = '{"step": 1, "val_loss": 2}\nEpoch 2\n{"step": 3, "val_loss": 1}\n{"step": 4, "val_l'
    log = read(tmp_path, text, "log.jsonl")
    assert log.curves["val_loss"] == ([1, 3], [2.0, 1.0])
    assert log.warnings == ("2 lines are not JSON (line 2 first); left out",)


# --- what is no log ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\x00\x00\x00", "binary file"),
        (b"step,val_loss\n", "no rows"),
        (b"a,b\n1,2\n", "no column"),
        (b"1,2.0\n2,1.0\n", "no header line"),
        (b"Epoch 1 loss 2.0\nEpoch 2 loss 1.0\n", "plain text"),
        (b"\xff\xfe\xfa", "not UTF-8"),
        (b'{"a": {"b": {}}}', "no column"),
        (b'{"a": 1', "not JSON"),
        (b"[1, 2]", "no log"),
        (b"number,stage,params,replicate,value\n0,search,{},0,1.0\n", "export of a study's trials"),
    ],
)
def test_wrong_file_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    error = refusal(path)
    assert words in error.message
    assert "log.csv" in error.message


def test_missing_file_names_those_beside_it(tmp_path: Path) -> None:
    written(tmp_path, KERAS, "metrics.csv")
    error = refusal(tmp_path / "metric.csv")
    assert "no file" in error.message
    assert error.hint == "files there: metrics.csv"
    assert "folder" in refusal(tmp_path).message


def test_unknown_column_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown column 'val_los'; did you mean 'val_loss'"):
        read_run_log(written(tmp_path, KERAS), names={"val_los": "val_loss"})
    with pytest.raises(InvalidInput, match="counts steps"):
        read_run_log(written(tmp_path, KERAS), names={"epoch": "val_loss"})
