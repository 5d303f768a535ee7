"""Loader workers: the same numbers with any number of them, after any resume, and a sentence when one dies."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hpsearch.records import FailureReason
from hpsearch.training.loading import BatchLoader, Loading, SampleError, dead_worker
from hpsearch.training.program import LAST_FILE
from hpsearch.training.seeds import Seeds
from tests.training.bench import Bench, StopAt
from tests.training.test_program import TASK, file_task, training

NOISY = TASK.replace(
    "Data((x[:200], y[:200]), (x[200:], y[200:]))", "Data(Noisy(x[:200], y[:200]), Noisy(x[200:], y[200:]))"
).replace(
    "class Mine",
    """import os
import random
import signal
import numpy as np
from torch.utils.data import Dataset

class Noisy(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        self.meet(i)
        return self.x[i] + torch.randn(5) + np.random.randn() + random.random(), self.y[i]

    def meet(self, i):
        pass

class Mine""",
)


class Draws(Dataset[Any]):
    """Gives what it draws, and who reads it."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        drawn = [torch.rand(()).item(), np.random.rand(), random.random()]
        return torch.tensor([index, *drawn]), os.getpid()


@pytest.fixture
def loaders() -> Iterator[list[BatchLoader]]:
    made = [BatchLoader(Draws(), "training", Loading(Seeds(0, 0), n, 3), pin=False) for n in (0, 1, 2)]
    yield made
    for loader in made:
        loader.close()


def drawn(loader: BatchLoader, draws: str = "epoch/0", first: int = 0) -> list[Any]:
    return [inputs.tolist() for inputs, _ in loader.read(torch.arange(4 * first, 12), 4, draws, first)]


def test_draws_follow_from_the_batch_whoever_reads_it(loaders: list[BatchLoader]) -> None:
    epochs = [[drawn(loader, f"epoch/{epoch}") for epoch in range(2)] for loader in loaders]
    assert epochs[0] == epochs[1] == epochs[2]
    assert epochs[0][0] != epochs[0][1]
    assert [drawn(loader, first=1) for loader in loaders] == [epochs[0][0][1:]] * 3
    flat = [value for batch in epochs[0][0] for sample in batch for value in sample[1:]]
    assert len(set(flat)) == len(flat)


def test_workers_stay_from_epoch_to_epoch_until_they_are_closed(loaders: list[BatchLoader]) -> None:
    loader = loaders[2]
    readers = [
        {int(pid) for _, pids in loader.read(torch.arange(12), 4, "x", 0) for pid in pids} for _ in "ab"
    ]
    assert readers[0] == readers[1]
    assert len(readers[0]) == 2
    assert os.getpid() not in readers[0]
    loader.close()
    for pid in readers[0]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_split_can_be_read_while_its_epoch_is_not_over(loaders: list[BatchLoader]) -> None:
    loader = loaders[1]
    whole = drawn(loader)
    epoch = loader.read(torch.arange(12), 4, "epoch/0", 0)
    seen = [next(epoch)[0].tolist()]
    assert drawn(loader, "epoch/1") == drawn(loaders[0], "epoch/1")
    assert seen + [inputs.tolist() for inputs, _ in epoch] == whole
    next(loader.read(torch.arange(12), 4, "epoch/0", 0))  # an epoch that is given up
    assert drawn(loader) == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    bench: Bench, tmp_path: Path, workers: int
) -> None:
    folder = tmp_path / "tasks"
    assignment = training(file_task(folder, NOISY), learning_rate=0.1, batch_size=10, num_workers=workers)
    _, whole = bench.run(
        assignment.model_copy(update={"params": {**assignment.params, "num_workers": 0}}), tasks_dir=folder
    )
    outcome, first = bench.run(assignment, StopAt(3), tasks_dir=folder)  # inside the second epoch of 20 steps
    assert outcome.state == "released"
    outcome, second = bench.run(assignment, tasks_dir=folder, start=bench.place.work_dir / LAST_FILE)
    assert outcome.state == "completed", outcome.message
    assert 20 < len(first["loss"].values) < 40
    assert first["loss"].values + second["loss"].values == whole["loss"].values
    assert first["val_loss"].values + second["val_loss"].values == whole["val_loss"].values


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_data_set_raises_is_told_with_its_own_lines(
    bench: Bench, tmp_path: Path, workers: int
) -> None:
    source = NOISY.replace("        pass\n", "        if i == 150: raise ValueError(f'sample {i} is torn')\n")
    task = file_task(tmp_path, source)
    outcome, _ = bench.run(training(task, num_workers=workers), tasks_dir=tmp_path)
    assert outcome.reason is FailureReason.ERROR
    assert "raised ValueError: sample 150 is torn" in outcome.message
    assert "in meet" in outcome.message
    assert "worker" not in outcome.message


def test_a_dead_worker_gives_a_sentence(bench: Bench, tmp_path: Path) -> None:
    source = NOISY.replace("        pass\n", "        if i == 150: os.kill(os.getpid(), signal.SIGKILL)\n")
    outcome, _ = bench.run(training(file_task(tmp_path, source), num_workers=1), tasks_dir=tmp_path)
    assert outcome.reason is FailureReason.CRASHED
    assert outcome.message.startswith("a loader worker was ended by SIGKILL while it read samples")
    assert "lower num_workers" in outcome.message


def test_a_worker_that_ends_by_itself_gives_a_sentence(bench: Bench, tmp_path: Path) -> None:
    source = NOISY.replace("        pass\n", "        if i == 150: os._exit(3)\n")
    outcome, _ = bench.run(training(file_task(tmp_path, source), num_workers=1), tasks_dir=tmp_path)
    assert outcome.reason is FailureReason.CRASHED
    assert "ended by itself" in outcome.message


def test_a_request_to_end_leaves_the_workers_reading() -> None:
    """SIGTERM goes to the whole process group, and the trial's last checkpoint may wait for a batch."""
    loader = BatchLoader(Draws(), "training", Loading(Seeds(0, 0), 1), pin=False)
    reading = loader.read(torch.arange(12), 1, "x", 0)
    _, pids = next(reading)
    os.kill(int(pids[0]), signal.SIGTERM)
    assert len(list(reading)) == 11
    loader.close()


def test_other_errors_are_no_dead_worker() -> None:
    assert dead_worker(RuntimeError("something")) is None
    assert dead_worker(ValueError("DataLoader worker (pid 3) exited unexpectedly")) is None


def test_unequal_samples_are_told_from_a_worker() -> None:
    class Ragged(Draws):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return torch.zeros(index + 1), index

    loader = BatchLoader(Ragged(), "training", Loading(Seeds(0, 0), 1), pin=False)
    with pytest.raises(SampleError, match="equal size"):
        list(loader.read(torch.arange(12), 4, "x", 0))
    loader.close()
