"""Validation accuracy of regularisers over none, on digits with 8 % of the training data.

Each is trained like the plain net: same seeds, so the same 92 samples, initial weights, data order and number
of steps; the difference is paired by seed. Run: python benchmarks/regularizers.py
"""

import statistics
import tempfile
from pathlib import Path

from hpsearch.records import Budget, Program
from hpsearch.space import Params
from hpsearch.tasks import NamedTask
from hpsearch.training.program import Place, run_program
from hpsearch.wire import Assignment

SEEDS = 5
EPOCHS = 200
FIXED: Params = {
    "train_fraction": 0.08,
    "batch_size": 16,
    "learning_rate": 0.02,
    "momentum": 0.9,
    "hidden_units": 256,
}
REGULARIZERS: dict[str, Params] = {
    "weight decay": {"weight_decay": 0.01},
    "L1": {"l1": 1e-3},
    "elastic net": {"weight_decay": 5e-3, "l1": 5e-4},
    "dropout": {"dropout": 0.5},
    "DropConnect": {"dropconnect": 0.3},
    "label smoothing": {"label_smoothing": 0.2},
    "batch norm": {"normalization": "batch"},
    "averaged weights": {"ema_decay": 0.99},
}


def main() -> None:
    print(f"digits, mlp, 8 % of the training data, {EPOCHS} epochs, validation accuracy at the end\n")
    with tempfile.TemporaryDirectory() as folder:
        plain = [accuracy({}, seed, Path(folder)) for seed in range(SEEDS)]
        print(f"{'none':18} {statistics.mean(plain):.4f}")
        for name, params in REGULARIZERS.items():
            found = [accuracy(params, seed, Path(folder)) for seed in range(SEEDS)]
            gains = [ours - theirs for ours, theirs in zip(found, plain, strict=True)]
            error = statistics.stdev(gains) / SEEDS**0.5
            mean = statistics.mean(gains)
            print(f"{name:18} {statistics.mean(found):.4f}  gain {mean:+.4f} +- {error:.4f} (SE)")


def accuracy(params: Params, seed: int, folder: Path) -> float:
    """The last validation accuracy, not the best: choosing the best epoch is a regulariser of its own."""
    assignment = Assignment(
        task=NamedTask(dataset="digits", model="mlp"),
        params={**FIXED, **params},
        program=Program(kind="train"),
        budget=Budget(epochs=EPOCHS),
        replicate=seed,
    )
    outcome = run_program(assignment, Place("cpu", folder, folder, None), lambda _: None, lambda: False)
    assert outcome.state == "completed", outcome
    value = outcome.metrics["val_accuracy"]
    assert isinstance(value, float)
    return value


if __name__ == "__main__":
    main()
