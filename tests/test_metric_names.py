"""Column names of the trainers people use, and what they measure."""

import pytest

from hpsearch.metric_names import is_epoch, is_step, meaning


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("loss", "loss"),
        ("Train Loss", "train_loss"),
        ("training/loss", "train_loss"),
        ("trainLoss", "train_loss"),
        ("train_loss_step", "train_loss"),
        ("valid_loss", "val_loss"),
        ("eval/loss", "val_loss"),
        ("validation_nll", "val_loss"),
        ("dev_cross_entropy", "val_loss"),
        ("epoch_loss", "loss"),
        ("acc", "accuracy"),
        ("val_acc", "val_accuracy"),
        ("valAcc", "val_accuracy"),
        ("eval_top1", "val_accuracy"),
        ("val_sparse_categorical_accuracy", "val_accuracy"),
        ("val_MulticlassAccuracy", "val_accuracy"),
        ("test_acc", "test_accuracy"),
        ("val_mean_squared_error", "val_mse"),
        ("lr", "learning_rate"),
        ("lr-Adam", "learning_rate"),
        ("lr-SGD/pg1", "learning_rate"),
        ("train/learning_rate", "learning_rate"),
        ("train/grad_norm", "grad_norm"),
        ("val_f1", "val_f1"),
    ],
)
def test_column_is_read_as(column: str, name: str) -> None:
    found = meaning(column)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "column", ["epoch", "step", "_step", "trainer/global_step", "Wall time", "_runtime", "val_loss__MIN"]
)
def test_counter_and_clock_are_no_metrics(column: str) -> None:
    assert meaning(column) is None


def test_steps_and_epochs_are_told_apart() -> None:
    assert is_step("Step")
    assert is_step("trainer/global_step")
    assert not is_step("epoch")
    assert is_epoch("Epoch")
