"""Weights to begin from: read from a file or torchvision's cache, and fitted into a model. No pickle is run."""

import hashlib
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hpsearch.errors import DataUnavailable, TrialError, unknown
from hpsearch.training.layer_groups import layer_groups

# Where training scripts put the weights inside of what they save, and what wrappers put before the names.
_NESTS = ("state_dict", "model_state_dict", "model")
_WRAPPERS = ("module.", "_orig_mod.")
_AUXILIARY = re.compile(
    r"aux\d?\.|AuxLogits\."
)  # heads of googlenet and inception_v3 that are not built here


@dataclass(frozen=True)
class Pretrained:
    """Tensors by the names of the model that they were trained in; `source` is what errors call them."""

    source: str
    tensors: Mapping[str, Tensor]

    def fit(self, model: nn.Module) -> str | None:
        """Copy them into `model`, which keeps its own head where that has another shape; says so in a sentence,
        or None where everything fits. Raises TrialError where they are another model's.

        A first convolution for one channel gets the sum over the colours: what a grey picture would have given.
        """
        own, prefix = _named(model)
        given = {name: t for name, t in self.tensors.items() if name in own or not _AUXILIARY.match(name)}
        head = _head(model, prefix)
        fresh = []
        with torch.no_grad():
            for name, tensor in own.items():
                found = _in_grey(given.get(name), tensor)
                if found is not None and found.shape == tensor.shape:
                    tensor.copy_(found)
                elif name in head:
                    fresh.append(_difference(name, found, tensor))
                elif not name.endswith("num_batches_tracked"):
                    raise self._misfit(name, found, tensor)
        surplus = next((name for name in given if name not in own), None)
        if surplus is not None:
            raise TrialError(f"weights {self.source} don't fit: the model has no {surplus!r}")
        if not fresh:
            return None
        return f"weights {self.source}: the head is new, since {'; '.join(fresh)}"

    def _misfit(self, name: str, found: Tensor | None, tensor: Tensor) -> TrialError:
        what = _difference(name, found, tensor)
        first = ", ".join(list(self.tensors)[:3])
        return TrialError(
            f"weights {self.source} don't fit the model: {what}",
            hint=f"give weights of this model; the names there begin with {first}",
        )


def _named(model: nn.Module) -> tuple[dict[str, Tensor], str]:
    """Its tensors by the names inside of an enlarging wrapper, and what stands before those."""
    prefix = "1." if isinstance(model, nn.Sequential) and isinstance(model[0], nn.Upsample) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in model.state_dict().items()}, prefix


def _head(model: nn.Module, prefix: str) -> set[str]:
    head = layer_groups(model)[-1].name
    return {
        name.removeprefix(prefix)
        for name in model.state_dict()
        if name == head or name.startswith(f"{head}.")
    }


def _in_grey(found: Tensor | None, own: Tensor) -> Tensor | None:
    is_grey = found is not None and found.ndim == own.ndim == 4 and (found.shape[1], own.shape[1]) == (3, 1)
    return found.sum(1, keepdim=True) if found is not None and is_grey else found


def _difference(name: str, found: Tensor | None, own: Tensor) -> str:
    if found is None:
        return f"{name} is missing there"
    return f"{name} has the shape {tuple(found.shape)} there and {tuple(own.shape)} here"


def read_pretrained(reference: str, model: str, data_dir: Path) -> Pretrained:
    """`reference`: a .safetensors, .pt or .pth file in `data_dir`, or the name of torchvision's weights for this
    model (`DEFAULT`, `IMAGENET1K_V1`, ...), which are used where they are cached and never downloaded.

    Raises DataUnavailable where it isn't there, TrialError where it holds more than tensors.
    """
    path = _in_folder(reference, data_dir) if PurePosixPath(reference).suffix else _cached(reference, model)
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise TrialError(
            f"weights {reference} can't be read as tensors by name alone ({type(error).__name__})",
            hint="save them with safetensors.torch.save_file, or with torch.save(model.state_dict(), file)",
        ) from None
    return Pretrained(reference, plain_names(found, reference))


def _in_folder(reference: str, data_dir: Path) -> Path:
    folder = data_dir.resolve()
    path = folder / reference
    if ".." in Path(reference).parts or not path.resolve().is_relative_to(folder):
        raise TrialError(f"weights {reference} lead out of the data folder {folder}")
    if not path.is_file():
        raise DataUnavailable(
            f"there are no weights {reference} in {folder}",
            hint="put the file there, or start the worker with --data FOLDER",
        )
    return path


def _cached(name: str, model: str) -> Path:
    """torch.hub's copy; its name ends with the first digits of its SHA-256."""
    from torchvision.models import get_model_weights  # noqa: PLC0415 - importing torchvision takes 1 s

    try:
        known = get_model_weights(model)
    except ValueError:
        raise TrialError(f"weights {name}: torchvision has none for model {model}; name a file") from None
    if name not in known.__members__:
        raise TrialError(unknown(f"weights of {model}", name, ["DEFAULT", *known.__members__]))
    file = str(known[name].url).rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file():
        raise DataUnavailable(
            f"weights {name} of {model} are not cached here, and nothing is downloaded",
            hint=f"put {known[name].url} into {path.parent}",
        )
    wanted = path.stem.rpartition("-")[2]
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(wanted):
        raise TrialError(f"weights {path} are damaged: their SHA-256 does not begin with {wanted}")
    return path


def plain_names(found: Any, source: str) -> dict[str, Tensor]:
    """The tensors of what was saved, by the model's own names. Raises TrialError where there are none."""
    for nest in _NESTS:
        if isinstance(found, Mapping) and isinstance(found.get(nest), Mapping):
            found = found[nest]
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()) or not found:
        raise TrialError(
            f"weights {source} hold no tensors by name", hint="save model.state_dict(), not the model"
        )
    names = {str(name): tensor for name, tensor in found.items()}
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in names):
            names = {name.removeprefix(wrapper): tensor for name, tensor in names.items()}
    return names
