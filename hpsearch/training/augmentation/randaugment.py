"""RandAugment, each image with operations of its own."""

# B batch, C channels, H height, W width, N operations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from hpsearch.training.augmentation.draws import below, happens

BINS = 31
NAMES = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
    "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip
SIGNED = frozenset(NAMES[1:10])  # whose magnitude is negative half of the time


@dataclass(frozen=True)
class RandAugment:
    """`operations` of the 14, drawn for each image, one after the other at `magnitude` of 0 ... 30 (Cubuk et
    al. 2020, with torchvision's table). Images in [0, 1]; they pass through 8 bits, as the paper's do.
    """

    operations: int
    magnitude: int

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        count = len(images_BCHW)
        changed = (images_BCHW * 255).round().clamp(0, 255).to(torch.uint8)
        for _ in range(self.operations):
            kinds_B = below(generator, count, len(NAMES))
            changed = operated(changed, kinds_B, happens(generator, count, 0.5), self.magnitude)
        return changed.to(images_BCHW.dtype) / 255


def operated(images_BCHW: Tensor, kinds_B: Tensor, negative_B: Tensor, magnitude: int) -> Tensor:
    """Each uint8 image after its operation; those with the same one and sign go through torchvision at once."""
    result = images_BCHW.clone()
    for kind, name in enumerate(NAMES):
        strength = strength_of(name, magnitude, images_BCHW.shape[-2:])
        for sign, wanted_B in ((1, ~negative_B), (-1, negative_B)) if name in SIGNED else ((1, None),):
            chosen_B = kinds_B == kind if wanted_B is None else (kinds_B == kind) & wanted_B
            chosen = chosen_B.nonzero()[:, 0].to(images_BCHW.device)
            if len(chosen):
                result[chosen] = operation(name, images_BCHW[chosen], sign * strength)
    return result


def strength_of(name: str, magnitude: int, size: tuple[int, ...]) -> float:
    """What `magnitude` of 0 ... 30 means to an operation, for images of this height and width."""
    height, width = size
    share = magnitude / (BINS - 1)
    largest = {
        "ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331 * width, "TranslateY": 150 / 331 * height,
        "Rotate": 30.0, "Brightness": 0.9, "Color": 0.9, "Contrast": 0.9, "Sharpness": 0.9,
    }  # fmt: skip
    match name:
        case "Posterize":
            return float(8 - round(4 * share))
        case "Solarize":
            return 255 * (BINS - 1 - magnitude) / (BINS - 1)  # exact: pixels are compared with it
    return largest.get(name, 0.0) * share


def operation(name: str, images_BCHW: Tensor, strength: float) -> Tensor:
    """torchvision's functional of this name on uint8 images, nearest neighbours, black where nothing was."""
    from torchvision.transforms import functional  # noqa: PLC0415 - importing torchvision takes 1 s

    match name:
        case "ShearX" | "ShearY" | "TranslateX" | "TranslateY":
            changed: Any = functional.affine(images_BCHW, 0.0, scale=1.0, **_geometry(name, strength))
        case "Rotate":
            changed = functional.rotate(images_BCHW, strength)
        case "Brightness":
            changed = functional.adjust_brightness(images_BCHW, 1 + strength)
        case "Color":
            changed = functional.adjust_saturation(images_BCHW, 1 + strength)
        case "Contrast":
            changed = functional.adjust_contrast(images_BCHW, 1 + strength)
        case "Sharpness":
            changed = functional.adjust_sharpness(images_BCHW, 1 + strength)
        case "Posterize":
            changed = functional.posterize(images_BCHW, int(strength))
        case "Solarize":
            changed = functional.solarize(images_BCHW, strength)
        case "AutoContrast":
            changed = functional.autocontrast(images_BCHW)
        case "Equalize":
            changed = functional.equalize(images_BCHW)
        case _:
            changed = images_BCHW
    assert isinstance(changed, Tensor)
    return changed


def _geometry(name: str, strength: float) -> dict[str, Any]:
    """Shears leave the top left corner where it is, as AutoAugment's own code does."""
    shear, shift = math.degrees(math.atan(strength)), int(strength)
    match name:
        case "ShearX":
            return {"translate": [0, 0], "shear": [shear, 0.0], "center": [0, 0]}
        case "ShearY":
            return {"translate": [0, 0], "shear": [0.0, shear], "center": [0, 0]}
        case "TranslateX":
            return {"translate": [shift, 0], "shear": [0.0, 0.0]}
    return {"translate": [0, shift], "shear": [0.0, 0.0]}
