"""Reading a Dataset batch by batch, in this process or ahead of time in loader workers."""

import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from hpsearch.errors import TrialError
from hpsearch.training.seeds import Seeds, cpu_chance

# What torch says, in whatever line of this process the end of a worker is noticed.
_DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (.*)", re.DOTALL)
_SIGNALS = {signal.strsignal(number): number.name for number in signal.Signals}


@dataclass(frozen=True)
class Loading:
    """How Datasets are read: `workers` processes, each `prefetch` batches ahead; 0: in this process.

    Chance comes from `seeds` by batch, not by worker: whatever a Dataset draws from torch's, NumPy's and
    Python's global generators is the same with any number of workers, and after a resume.
    """

    seeds: Seeds
    workers: int = 0
    prefetch: int = 2


@dataclass(frozen=True)
class _Request:
    """One batch: its samples, and the seed of what the Dataset draws for them."""

    indices: Sequence[int]
    seed: int


@dataclass(frozen=True)
class _Failure:
    """What a Dataset raised in a worker, in parts that always survive the way to this process."""

    kind: str
    line: str
    frames: traceback.StackSummary
    hint: str | None = None
    is_sentence: bool = False  # a TrialError's, made for users


class SampleError(Exception):
    """A Dataset raised `kind` in a loader worker; `frames` are the worker's."""

    def __init__(self, failure: _Failure) -> None:
        super().__init__(failure.line)
        self.kind = failure.kind
        self.frames = failure.frames


class _Requested(Dataset[Any]):
    """A Dataset that is asked for whole batches."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitems__(self, request: _Request) -> Any:
        if get_worker_info() is None:
            return self._read(request)
        try:
            return self._read(request)
        except (Exception, SystemExit) as error:
            if isinstance(error, TrialError):
                return _Failure("", error.message, traceback.StackSummary(), error.hint, is_sentence=True)
            lines = str(error).strip().splitlines() or ["no message"]
            return _Failure(type(error).__name__, lines[0], traceback.extract_tb(error.__traceback__))

    def _read(self, request: _Request) -> Any:
        with cpu_chance(request.seed):
            together = getattr(self.dataset, "__getitems__", None)
            samples = together(request.indices) if together else [self.dataset[i] for i in request.indices]
            return default_collate(samples)


class _Plan:
    """The batch sampler of a loader that lives on: what is to be read next."""

    def __init__(self) -> None:
        self.requests: Sequence[_Request] = ()

    def __iter__(self) -> Iterator[_Request]:
        return iter(self.requests)


class BatchLoader:
    """Reads batches of one Dataset. Workers start at the first batch and stay until `close`.

    Off Linux, where a worker could not be forked with a task's own code in it, all is read in this process.
    """

    def __init__(self, dataset: Dataset[Any], name: str, loading: Loading, *, pin: bool) -> None:
        """`name` of the split; `pin`: batches lie in pinned memory, from which a GPU copies on its own."""
        self.dataset = dataset
        self.loading = loading
        self._name = name
        self._pin = pin
        self._plan = _Plan()
        self._loader: DataLoader[Any] | None = None
        self._is_reading = False

    def of(self, dataset: Dataset[Any]) -> "BatchLoader":
        """A loader like this one for another Dataset; this one's workers end."""
        self.close()
        return BatchLoader(dataset, self._name, self.loading, pin=self._pin)

    def read(self, indices: Tensor, batch_size: int, draws: str, first: int) -> Iterator[Any]:
        """Collated batches of the samples at `indices`. Batch number n draws by the seed of (`draws`, n),
        counted from `first`. Raises what the Dataset raises, from a worker as SampleError.
        """
        chunks = torch.split(indices, batch_size)
        requests = [
            _Request(chunk.tolist(), self.loading.seeds.derive(f"read/{self._name}/{draws}/{number}"))
            for number, chunk in enumerate(chunks, start=first)
        ]
        if self._is_reading:  # workers are in the middle of an epoch, and have one order at a time
            yield from map(_sound, self._new_loader(0, requests))
            return
        self._is_reading = True
        try:
            yield from self._read(requests)
        finally:
            self._is_reading = False

    def _read(self, requests: Sequence[_Request]) -> Iterator[Any]:
        if self._loader is None:
            workers = self.loading.workers if sys.platform == "linux" else 0
            self._loader = self._new_loader(workers, self._plan)
        self._plan.requests = requests
        batches = iter(self._loader)
        for batch in islice(batches, len(requests) - 1):
            yield _sound(batch)
        last = list(batches)  # exhausts it: whoever has the last batch may read anew
        self._is_reading = False
        yield from map(_sound, last)

    def _new_loader(self, workers: int, plan: Any) -> DataLoader[Any]:
        ahead: dict[str, Any] = {}
        if workers:
            ahead = {
                "prefetch_factor": self.loading.prefetch,
                "persistent_workers": True,
                "multiprocessing_context": "fork",
                "worker_init_fn": _leave_signals_to_the_parent,
            }
        return DataLoader(
            _Requested(self.dataset),
            batch_sampler=plan,
            collate_fn=_as_it_is,
            # Its own generator: a loader otherwise draws from the global one, and dropout would depend on it.
            generator=torch.Generator(),
            pin_memory=self._pin,
            num_workers=workers,
            **ahead,
        )

    def close(self) -> None:
        """End the workers, also one that hangs in a Dataset's code."""
        iterator: Any = getattr(self._loader, "_iterator", None)
        self._loader = None
        if iterator is None:
            return
        workers = list(iterator._workers)
        # Now, not when it is collected: an exception on its way may hold it, and torch must not take an end
        # that we want for a death.
        iterator._shutdown_workers()
        for worker in workers:
            if worker.is_alive():
                worker.kill()


def dead_worker(error: BaseException) -> TrialError | None:
    """The sentence for an error that says that a loader worker is dead, None for any other error."""
    said: list[str] = []
    # The error that says the signal may be only the cause of one that says that a worker is gone.
    while isinstance(error, RuntimeError) and (found := _DEAD.match(str(error))) is not None:
        said.append(found.group(1))
        error = error.__cause__ or error.__context__ or Exception()
    if not said:
        return None
    killed = re.match(r"is killed by signal: ([^.]+)\.", said[-1])
    name = _SIGNALS.get(killed.group(1), killed.group(1)) if killed else None
    how = f"was ended by {name}" if name else "ended by itself"
    hint = {
        "SIGKILL": "memory ran out, most likely: lower num_workers, prefetch_factor or batch_size",
        "SIGBUS": "shared memory ran out: enlarge /dev/shm, or set num_workers to 0",
    }.get(name or "", "set num_workers to 0 to see in the trial itself what the data set does")
    return WorkerDied(f"a loader worker {how} while it read samples", hint=hint)


class WorkerDied(TrialError):
    """A loader worker is dead."""

    reason = "crashed"


def _sound(batch: Any) -> Any:
    if isinstance(batch, _Failure):
        raise TrialError(batch.line, hint=batch.hint) if batch.is_sentence else SampleError(batch)
    return batch


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_parent(_: int) -> None:
    """A trial that is asked to end by SIGTERM to its group still reads until its checkpoint is written."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
