"""Checkpoints: tensors in safetensors, the rest as JSON in its header. Nothing is ever unpickled."""

import hashlib
import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.optim import Optimizer

from hpsearch.training.history import Curves

FORMAT = 2
HEADER = "hpsearch"  # one entry: with several, safetensors writes them in an order of chance
BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """Weights on the CPU, the step they were taken after, and what was measured then."""

    step: int
    record: Mapping[str, float]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """All that training resumes from, bit for bit on a CPU. `identity` names what was trained, `rates` the
    learning rates up to `step` as factors (`Schedule.until`).
    """

    identity: str
    rates: str
    step: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    rng: Mapping[str, Any]
    best: Snapshot | None
    curves: Curves
    averaged: Mapping[str, Tensor] = field(default_factory=dict)
    runners_up: tuple[Snapshot, ...] = ()  # where several snapshots are kept, those after the best


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A copy on the CPU."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()
    }


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """`<parameter>/<key>` -> tensor or number."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: Optimizer, flat: Mapping[str, Any]) -> None:
    """The inverse; hyperparameters stay those that `optimizer` was made with."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in flat.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def rng_state(device: str) -> dict[str, Any]:
    """The global generators that dropout and user code draw from."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device == "cuda":
        state["cuda"] = torch.cuda.get_rng_state()
    elif device == "mps":
        state["mps"] = torch.mps.get_rng_state()
    numpy_state: Any = np.random.get_state(legacy=False)
    state["numpy_keys"] = torch.from_numpy(numpy_state["state"]["key"].astype(np.int64))
    state["numpy"] = [numpy_state["state"]["pos"], numpy_state["has_gauss"], numpy_state["gauss"]]
    version, keys, gauss = random.getstate()
    state["python_keys"] = torch.tensor(keys, dtype=torch.int64)
    state["python"] = [version, gauss]
    return state


def restore_rng(state: Mapping[str, Any], device: str) -> None:
    torch.set_rng_state(state["torch"])
    if device == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    elif device == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
    position, has_gauss, gauss = state["numpy"]
    keys = state["numpy_keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, gauss))
    version, python_gauss = state["python"]
    random.setstate((version, tuple(state["python_keys"].tolist()), python_gauss))


def write_weights(path: Path, snapshot: Snapshot) -> None:
    """The best snapshot's weights under the model's own names, its record in the header."""
    state = _dump({"step": snapshot.step, "record": dict(snapshot.record)})
    _write(path, save(dict(snapshot.weights), {HEADER: state}))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    tensors = {f"model/{name}": tensor for name, tensor in checkpoint.model.items()}
    tensors.update({f"averaged/{name}": tensor for name, tensor in checkpoint.averaged.items()})
    plain: dict[str, Any] = {}
    for part, entries in (("optimizer", checkpoint.optimizer), ("rng", checkpoint.rng)):
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{part}/{name}"] = value.detach().to("cpu", copy=True).contiguous()
            else:
                plain[f"{part}/{name}"] = value
    for name, (steps, values) in checkpoint.curves.items():
        tensors[f"curve_steps/{name}"] = torch.tensor(steps, dtype=torch.int64)
        tensors[f"curve_values/{name}"] = torch.tensor(values, dtype=torch.float64)
    best = checkpoint.best
    if best is not None:
        tensors.update({f"best/{name}": tensor for name, tensor in best.weights.items()})
    for place, snapshot in enumerate(checkpoint.runners_up):
        tensors.update({f"runner_up_{place}/{name}": tensor for name, tensor in snapshot.weights.items()})
    state = {
        "format": FORMAT,
        "identity": checkpoint.identity,
        "rates": checkpoint.rates,
        "step": checkpoint.step,
        "best": None if best is None else {"step": best.step, "record": dict(best.record)},
        "runners_up": [{"step": s.step, "record": dict(s.record)} for s in checkpoint.runners_up],
        "plain": plain,
    }
    text = _dump(state)
    header = _dump({"state": text, "sha256": _digest(tensors, text)})
    _write(path, save(tensors, {HEADER: header}))


def read_checkpoint(path: Path, identity: str) -> Checkpoint | None:
    """The checkpoint in `path`, or None, with the reason logged, where it can't be used: missing, damaged,
    or of another trial. A single flipped bit is noticed.
    """
    try:
        checkpoint = _parse(path.read_bytes())
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        logger.warning("checkpoint %s can't be read (%s); training starts from scratch", path.name, error)
        return None
    if checkpoint.identity != identity:
        logger.warning("checkpoint %s is another trial's; training starts from scratch", path.name)
        return None
    return checkpoint


def step_of(path: Path) -> int | None:
    """The step that a best or last checkpoint was taken after, by its header; None where it can't be read."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        state = json.loads(header["__metadata__"][HEADER])
        return int(state["step"] if "step" in state else json.loads(state["state"])["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parse(raw: bytes) -> Checkpoint:
    header_size = int.from_bytes(raw[:8], "little")
    metadata = json.loads(json.loads(raw[8 : 8 + header_size])["__metadata__"][HEADER])
    tensors = load(raw)
    if _digest(tensors, metadata["state"]) != metadata["sha256"]:
        raise ValueError("its contents do not match their SHA-256")
    state = json.loads(metadata["state"])
    if state["format"] != FORMAT:
        raise ValueError(f"format {state['format']} is not {FORMAT}")

    def part(name: str) -> dict[str, Any]:
        merged = {**tensors, **state["plain"]}
        return {key.partition("/")[2]: v for key, v in merged.items() if key.startswith(f"{name}/")}

    best = state["best"]
    values = part("curve_values")
    return Checkpoint(
        identity=state["identity"],
        rates=state["rates"],
        step=state["step"],
        model=part("model"),
        optimizer=part("optimizer"),
        rng=part("rng"),
        best=None if best is None else Snapshot(best["step"], best["record"], part("best")),
        curves={name: (s.tolist(), values[name].tolist()) for name, s in part("curve_steps").items()},
        averaged=part("averaged"),
        runners_up=tuple(
            Snapshot(found["step"], found["record"], part(f"runner_up_{place}"))
            for place, found in enumerate(state.get("runners_up", ()))
        ),
    )


def _dump(value: Any) -> str:
    return json.dumps(value, default=float)  # NumPy's numbers


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write(path: Path, raw: bytes) -> None:
    """All or nothing: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No fsync (6 ms on a 15 ms trial): what survives the machine is the server's copy, checked by digest.
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(raw)
    partial.replace(path)
