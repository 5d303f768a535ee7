"""The augmentations that a trial's hyperparameters ask for, in the order in which they are applied."""

# B batch, C channels, H height, W width

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor

from hpsearch.errors import TrialError
from hpsearch.space import Params
from hpsearch.training.augmentation.color_jitter import ColorJitter
from hpsearch.training.augmentation.erasing import Cutout, RandomErasing
from hpsearch.training.augmentation.flip import Flip
from hpsearch.training.augmentation.padded_crop import PaddedCrop
from hpsearch.training.augmentation.pca_color import PcaColor, pixel_covariance
from hpsearch.training.augmentation.randaugment import RandAugment
from hpsearch.training.augmentation.resized_crop import ResizedCrop
from hpsearch.training.augmentation.scale_jitter import ScaleJitter
from hpsearch.training.preprocessing import Preprocessing
from hpsearch.vocabulary import IMAGE_KNOBS, is_on, size_problem

Step = Callable[[Tensor, Generator], Tensor]
TOLERANCE = 1e-3  # of pixels in [0, 1] after preprocessing was undone in float32
COLORS = ("color_jitter", "hue_jitter", "pca_color", "randaugment_n")  # whose arithmetic is made for [0, 1]


@dataclass(frozen=True)
class Augmentation:
    """Changes a batch of preprocessed images, each by draws of its own.

    What fills with black or changes colours sees pixels: preprocessing is undone before and done again after.
    Flips commute with it. Erased boxes hold 0 as the model sees it, the training set's mean where inputs are
    centred (DeVries & Taylor 2017).
    """

    on_pixels: tuple[Step, ...]
    on_inputs: tuple[Step, ...]
    preprocessing: Preprocessing | None

    def __call__(self, images_BCHW: Tensor, generator: Generator) -> Tensor:
        if self.on_pixels:
            pixels = images_BCHW if self.preprocessing is None else self.preprocessing.undo(images_BCHW)
            pixels = _applied(self.on_pixels, pixels, generator)
            images_BCHW = pixels if self.preprocessing is None else self.preprocessing(pixels)
        return _applied(self.on_inputs, images_BCHW, generator)


def _applied(steps: tuple[Step, ...], images_BCHW: Tensor, generator: Generator) -> Tensor:
    for step in steps:
        images_BCHW = step(images_BCHW, generator)
    return images_BCHW


def build_augmentation(
    params: Params, some_inputs: Tensor, preprocessing: Preprocessing | None
) -> Augmentation | None:
    """None where nothing is asked for. `some_inputs`: preprocessed training inputs, for the principal components
    of `pca_color` and to see that they are images. Raises TrialError where they aren't what is needed.
    """
    pixels = some_inputs if preprocessing is None else preprocessing.undo(some_inputs)
    check_images(params, pixels)
    on_pixels = tuple(_on_pixels(params, pixels))
    on_inputs = tuple(_on_inputs(params))
    return Augmentation(on_pixels, on_inputs, preprocessing) if on_pixels or on_inputs else None


def _on_pixels(params: Params, pixels: Tensor) -> list[Step]:
    steps: list[Step] = []
    if is_on(params, "resized_crop"):
        steps.append(ResizedCrop(float(params["resized_crop"])))
    if is_on(params, "scale_jitter"):
        steps.append(ScaleJitter(float(params["scale_jitter"])))
    if is_on(params, "crop_padding"):
        steps.append(PaddedCrop(int(params["crop_padding"])))
    if is_on(params, "randaugment_n"):
        steps.append(RandAugment(int(params["randaugment_n"]), int(params["randaugment_m"])))
    if is_on(params, "color_jitter") or is_on(params, "hue_jitter"):
        steps.append(ColorJitter(float(params["color_jitter"]), float(params["hue_jitter"])))
    if is_on(params, "pca_color"):
        steps.append(PcaColor(float(params["pca_color"]), pixel_covariance(pixels)))
    return steps


def _on_inputs(params: Params) -> list[Step]:
    steps: list[Step] = []
    if is_on(params, "flip"):
        steps.append(Flip(float(params["flip"])))
    if is_on(params, "cutout"):
        steps.append(Cutout(int(params["cutout"])))
    if is_on(params, "random_erasing"):
        steps.append(RandomErasing(float(params["random_erasing"])))
    return steps


def check_images(params: Params, pixels: Tensor) -> None:
    """Raises TrialError where a hyperparameter needs images, of some kind, that these inputs are not."""
    for name in IMAGE_KNOBS:
        if is_on(params, name) and (pixels.ndim != 4 or not pixels.is_floating_point()):
            raise TrialError(
                f"{name} changes images of floating-point pixels, (B, C, H, W), not {pixels.dtype} inputs of "
                f"shape (B, {', '.join(map(str, pixels.shape[1:]))})",
                hint=f"remove {name} from the study, or give images in the task's data()",
            )
        problem = size_problem(name, params[name], tuple(pixels.shape[1:]))
        if problem is not None:
            raise TrialError(problem)
    for name in COLORS:
        if is_on(params, name):
            _check_colors(name, pixels)


def _check_colors(name: str, pixels: Tensor) -> None:
    if name != "pca_color" and pixels.shape[1] not in (1, 3):
        raise TrialError(f"{name} needs grey or RGB images, not {pixels.shape[1]} channels")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise TrialError(
            f"{name} needs pixels in [0, 1], and these training inputs lie in [{low:.3g}, {high:.3g}]",
            hint="divide by 255 in the task's data() and set preprocessing: standardized instead of scaling there",
        )
