"""Chance: every random draw follows from the study's seed, the replicate and a purpose."""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

# torch sets this module's one attribute by properties that type checkers don't see.
_deterministic: Any = torch.utils.deterministic


@dataclass(frozen=True)
class Seeds:
    """All chance of one trial: params never enter, so trials of one replicate are paired."""

    study: int
    replicate: int

    def derive(self, purpose: str) -> int:
        return derive(self.study, self.replicate, purpose)

    def generator(self, purpose: str) -> torch.Generator:
        """A fresh CPU generator for this purpose."""
        return torch.Generator().manual_seed(self.derive(purpose))


def derive(study_seed: int, replicate: int, purpose: str) -> int:
    """A 63-bit seed: SHA-256 of the three. The same in every process and on every machine."""
    digest = hashlib.sha256(f"{study_seed}/{replicate}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def seed_globals(seed: int) -> None:
    """Seed what user code may draw from: torch (all devices), NumPy's and Python's global generators."""
    _seed_cpu(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def _seed_cpu(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # Not torch.manual_seed: before CUDA's start it queues a call, with a formatted stack, at each use.
    torch.default_generator.manual_seed(seed)


@contextmanager
def cpu_chance(seed: int) -> Iterator[None]:
    """The CPU's global generators seeded inside, and as they were afterwards."""
    before = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    _seed_cpu(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


@contextmanager
def reproducible(device: str, threads: int) -> Iterator[None]:
    """Deterministic algorithms and this many CPU threads inside; everything as it was afterwards.

    On CPU an operation without a deterministic form raises; on a GPU it warns, since some layers have none.
    """
    before = _GlobalState.read()
    # cuBLAS reads it when its handle is made (https://docs.nvidia.com/cuda/cublas/#results-reproducibility).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    torch.backends.cudnn.benchmark = False
    # Filling every new tensor would cost a tenth of a small step; no code here reads uninitialised memory.
    _deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        before.restore()


@dataclass(frozen=True)
class _GlobalState:
    threads: int
    dtype: torch.dtype
    deterministic: bool
    warn_only: bool
    benchmark: bool
    fill: bool
    torch_rng: torch.Tensor
    numpy_rng: dict[str, object]
    python_rng: tuple[object, ...]

    @classmethod
    def read(cls) -> "_GlobalState":
        return cls(
            threads=torch.get_num_threads(),
            dtype=torch.get_default_dtype(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
            benchmark=torch.backends.cudnn.benchmark,
            fill=_deterministic.fill_uninitialized_memory,
            torch_rng=torch.get_rng_state(),
            numpy_rng=np.random.get_state(legacy=False),
            python_rng=random.getstate(),
        )

    def restore(self) -> None:
        torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.dtype)
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.warn_only)
        torch.backends.cudnn.benchmark = self.benchmark
        _deterministic.fill_uninitialized_memory = self.fill
        torch.set_rng_state(self.torch_rng)
        np.random.set_state(self.numpy_rng)
        random.setstate(self.python_rng)
