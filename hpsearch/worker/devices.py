"""What this machine trains on: its GPUs, else groups of its CPU threads."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pynvml

from hpsearch.errors import InvalidInput
from hpsearch.records import Slot

_MAX_SLOTS = 256  # as many as a worker may register
_GPU_THREADS = 8  # more CPU threads than this don't feed one GPU faster
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class LocalSlot:
    """A slot and the value of CUDA_VISIBLE_DEVICES that shows its child this one GPU (None: leave it)."""

    slot: Slot
    visible_devices: str | None


@dataclass(frozen=True)
class Gpu:
    """`visible`: what CUDA_VISIBLE_DEVICES calls it."""

    visible: str
    name: str
    memory_mib: int | None


def find_slots(
    device: Literal["auto", "cpu", "cuda", "mps"],
    slots: int | None,
    threads: int | None,
    *,
    gpus: tuple[Gpu, ...],
    cores: int,
) -> tuple[LocalSlot, ...]:
    """One slot per GPU, or without GPUs one per core with one thread (so that numbers don't depend on it).

    `slots` sets their number: more slots than GPUs share them in turn. Raises InvalidInput.
    """
    if slots is not None and not 1 <= slots <= _MAX_SLOTS:
        raise InvalidInput(f"a worker has 1 to {_MAX_SLOTS} slots, not {slots}")
    if threads is not None and threads < 1:
        raise InvalidInput(f"a slot has at least 1 thread, not {threads}")
    if device == "cuda" and not gpus:
        raise InvalidInput(
            "this machine shows no NVIDIA GPU", hint="check nvidia-smi and CUDA_VISIBLE_DEVICES"
        )
    if device == "mps":
        return tuple(_mps_slot(index, threads or 1) for index in range(slots or 1))
    if gpus and device != "cpu":
        return _gpu_slots(gpus, slots or len(gpus), threads, cores)
    count = min(slots or max(1, cores // (threads or 1)), _MAX_SLOTS)
    name = platform.processor() or platform.machine() or "CPU"
    return tuple(
        LocalSlot(Slot(device="cpu", index=index, name=name, threads=threads or 1), "")
        for index in range(count)
    )


def _gpu_slots(gpus: tuple[Gpu, ...], count: int, threads: int | None, cores: int) -> tuple[LocalSlot, ...]:
    each = threads or min(_GPU_THREADS, max(1, cores // count))
    chosen = [gpus[index % len(gpus)] for index in range(min(count, _MAX_SLOTS))]
    return tuple(
        LocalSlot(
            Slot(device="cuda", index=index, name=gpu.name[:200], memory_mib=gpu.memory_mib, threads=each),
            gpu.visible,
        )
        for index, gpu in enumerate(chosen)
    )


def _mps_slot(index: int, threads: int) -> LocalSlot:
    return LocalSlot(Slot(device="mps", index=index, name=platform.machine(), threads=threads), None)


def visible_gpus(environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that CUDA would show; none without GPU, driver or NVML."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        every = tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    return every if chosen is None else choose(every, chosen)


def choose(gpus: tuple[Gpu, ...], visible_devices: str) -> tuple[Gpu, ...]:
    """The GPUs named by CUDA_VISIBLE_DEVICES, by index or (the start of a) UUID, up to the first unknown one.

    Each keeps the name it was given: CUDA counts by speed, NVML by bus, so an index is only CUDA's to read.
    """
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in visible_devices.split(",")):
        if entry.isdecimal() and int(entry) < len(gpus):
            match = gpus[int(entry)]
        elif entry.startswith(("GPU-", "MIG-")):
            known = next((gpu for gpu in gpus if gpu.visible.startswith(entry)), None)
            match = known or Gpu(
                entry, "NVIDIA MIG device" if entry.startswith("MIG-") else "NVIDIA GPU", None
            )
        else:
            break  # CUDA ignores what follows an entry it doesn't know
        chosen.append(Gpu(entry, match.name, match.memory_mib))
    return tuple(chosen)


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    name, uuid = pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle)
    try:
        memory: int | None = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) >> 20
    except pynvml.NVMLError:  # unified memory reports none
        memory = None
    return Gpu(str(uuid), str(name), memory)


def usable_cores() -> int:
    """CPU threads this process may use: its affinity, and its container's quota where one is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores
