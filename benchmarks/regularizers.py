"""Validation accuracy of regularisers over none, on digits with 8 % of the training data.

The strength of each is chosen on development seeds; the figures are from five fresh seeds that chose nothing. A
seed fixes the split, the 92 samples, the initial weights, the data order and the number of steps, so each gain is
paired with the plain net of its seed. Run: python benchmarks/regularizers.py
"""

import statistics
import tempfile
import time
from pathlib import Path

from hpsearch.records import Budget, Program
from hpsearch.space import Params
from hpsearch.tasks import NamedTask
from hpsearch.training.program import Place, run_program
from hpsearch.wire import Assignment

DEVELOPMENT = range(100, 105)
FRESH = range(200, 205)
EPOCHS = 100
FIXED: Params = {
    "train_fraction": 0.08,
    "batch_size": 16,
    "learning_rate": 0.02,
    "momentum": 0.9,
    "hidden_units": 256,
    "monitors": False,
}
STRENGTHS: dict[str, list[Params]] = {
    "weight decay": [{"weight_decay": 0.01}, {"weight_decay": 0.03}],
    "L1": [{"l1": 5e-4}, {"l1": 1e-3}],
    "elastic net": [{"weight_decay": 0.01, "l1": 5e-4}, {"weight_decay": 0.03, "l1": 1e-3}],
    "dropout": [{"dropout": 0.3}, {"dropout": 0.5}, {"dropout": 0.8}],
    "DropConnect": [{"dropconnect": 0.2}, {"dropconnect": 0.5}],
    "batch norm": [{"normalization": "batch"}],
    "label smoothing": [{"label_smoothing": 0.05}, {"label_smoothing": 0.2}],
    "mixup": [{"mixup": 0.2}, {"mixup": 1.0}],
    "averaged weights": [{"ema_decay": 0.95}, {"ema_decay": 0.99}],
}


def main() -> None:
    began = time.perf_counter()
    print(f"digits, mlp, 8 % of the training data, {EPOCHS} epochs, validation accuracy at the end")
    print(f"strengths chosen on seeds {_ends(DEVELOPMENT)}, figures from seeds {_ends(FRESH)}\n")
    with tempfile.TemporaryDirectory() as folder:
        place = Place("cpu", Path(folder), Path(folder), None)
        plain = accuracies({}, FRESH, place)
        print(f"{'none':18} {statistics.mean(plain):.4f}")
        raised = 0
        for name, candidates in STRENGTHS.items():
            chosen = candidates[0]
            if len(candidates) > 1:
                chosen = max(candidates, key=lambda p: statistics.mean(accuracies(p, DEVELOPMENT, place)))
            found = accuracies(chosen, FRESH, place)
            gains = [ours - theirs for ours, theirs in zip(found, plain, strict=True)]
            mean, error = statistics.mean(gains), statistics.stdev(gains) / len(gains) ** 0.5
            raised += mean > 2 * error
            setting = ", ".join(f"{key} {value}" for key, value in chosen.items())
            print(f"{name:18} {statistics.mean(found):.4f}  gain {mean:+.4f} +- {error:.4f} (SE)  {setting}")
    print(f"\n{raised} raise it by more than two standard errors; {time.perf_counter() - began:.0f} s")


def accuracies(params: Params, seeds: range, place: Place) -> list[float]:
    return [accuracy(params, seed, place) for seed in seeds]


def accuracy(params: Params, seed: int, place: Place) -> float:
    """The last validation accuracy, not the best: choosing the best epoch is a regulariser of its own."""
    assignment = Assignment(
        task=NamedTask(dataset="digits", model="mlp"),
        params={**FIXED, **params},
        program=Program(kind="train"),
        budget=Budget(epochs=EPOCHS),
        replicate=seed,
    )
    outcome = run_program(assignment, place, lambda _: None, lambda: False)
    assert outcome.state == "completed", outcome
    value = outcome.metrics["val_accuracy"]
    assert isinstance(value, float)
    return value


def _ends(seeds: range) -> str:
    return f"{seeds.start}-{seeds.stop - 1}"


if __name__ == "__main__":
    main()
