"""Pictures in folders named after their classes, in torchvision's ImageFolder layout."""

# C channels, S side in pixels

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Subset

from hpsearch.errors import DataUnavailable, TrialError
from hpsearch.training.seeds import derive
from hpsearch.training.splits import stratified

VALIDATION_NAMES = ("val", "valid", "validation")
SHARE = 10  # one in so many is taken for validation, and for the test set, where these have no folder


@dataclass(frozen=True)
class PictureParts:
    """Splits of (float32 (3, S, S) in [0, 1], class index); `test` is None where there is no folder for it."""

    train: Dataset[Any]
    validation: Dataset[Any]
    test: Dataset[Any] | None


def picture_parts(root: Path, side: int, seed: int) -> PictureParts:
    """The pictures of `root/train/<class>/`, `root/val/` and `root/test/`, or, without `train`, all of
    `root/<class>/`, of which a tenth is a test set that is the same for every seed.

    A tenth of the training pictures, drawn by class with `seed`, is validation data where these have no folder.
    Raises DataUnavailable for what isn't there.
    """
    if not root.is_dir():
        raise DataUnavailable(
            f"there is no folder of pictures {root}",
            hint=f"make {root}/train/<class>/*.jpg, or start the worker with --data FOLDER",
        )
    if not (root / "train").is_dir():
        return _split_whole(_pictures(root, side), seed)
    train = _pictures(root / "train", side)
    folder = next((root / name for name in VALIDATION_NAMES if (root / name).is_dir()), None)
    test = _pictures(root / "test", side, train.classes) if (root / "test").is_dir() else None
    if folder is not None:
        return PictureParts(train, _pictures(folder, side, train.classes), test)
    chosen, rest = stratified(np.array(train.targets), _tenth(len(train)), seed)
    return PictureParts(Subset(train, rest.tolist()), Subset(train, chosen.tolist()), test)


def picture_classes(root: Path) -> list[str]:
    """Class names, sorted: the folders of `root/train`, or of `root`. Empty where there are none."""
    folder = root / "train" if (root / "train").is_dir() else root
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _split_whole(pictures: Any, seed: int) -> PictureParts:
    labels = np.array(pictures.targets)
    count = _tenth(len(labels))
    test, rest = stratified(labels, count, derive(0, 0, "image_folder/test"))
    chosen, others = stratified(labels[rest], count, seed)
    parts = [Subset(pictures, part.tolist()) for part in (rest[others], rest[chosen], test)]
    return PictureParts(*parts)


def _tenth(count: int) -> int:
    return max(1, round(count / SHARE))


def _pictures(folder: Path, side: int, classes: list[str] | None = None) -> Any:
    """torchvision's ImageFolder. Raises DataUnavailable where a class, of those of the training set, is empty."""
    from torchvision.datasets import ImageFolder  # noqa: PLC0415 - importing torchvision takes 1 s

    try:
        found = ImageFolder(folder, transform=fitted_to(side), loader=read_picture)
    except FileNotFoundError as error:
        said = str(error).partition(". ")[0].strip().rstrip(".")
        raise DataUnavailable(
            f"the pictures in {folder} can't be used: {said[:1].lower()}{said[1:]}",
            hint=f"one folder per class, with pictures in it: {folder}/<class>/*.jpg",
        ) from None
    if classes is not None and found.classes != classes:
        odd = sorted(set(found.classes) ^ set(classes))
        raise DataUnavailable(
            f"the pictures in {folder} have other classes than the training set: {', '.join(odd[:10])} differ"
        )
    return found


def read_picture(path: str) -> Any:
    """In RGB. Raises TrialError, with the file's name, where it is damaged."""
    from PIL import Image  # noqa: PLC0415 - comes with torchvision

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    # PIL raises its own UnidentifiedImageError, an OSError, and for damaged chunks SyntaxError and others.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TrialError(
            f"the picture {path} can't be read: {error}", hint="mend it or take it out of the folder"
        ) from None


def fitted_to(side: int) -> Callable[[Any], Tensor]:
    """A picture's shorter side resized to `side` (bilinear), its centre cropped to a square, in [0, 1]."""
    from torchvision.transforms import functional  # noqa: PLC0415 - importing torchvision takes 1 s

    def fit(picture: Any) -> Tensor:
        square = functional.center_crop(functional.resize(picture, [side]), [side, side])
        pixels: Tensor = functional.pil_to_tensor(square)
        return pixels.float() / 255

    return fit
