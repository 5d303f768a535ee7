"""What a GPU would refuse, found without one: tensors on the meta device can't be mixed with the CPU's draws."""

from typing import Any

import pytest
import torch
from torch import Generator

from hpsearch.training.augmentation.mixing import CutMix, MixedLoss, Mixup
from hpsearch.training.augmentation.pipeline import build_augmentation
from hpsearch.training.augmentation.views import AveragedModel, Views
from hpsearch.training.averaging import Averaged
from hpsearch.training.gradients import Gradients
from hpsearch.training.layer_groups import rate_factors
from hpsearch.training.losses import build_loss
from hpsearch.training.models import build_model
from hpsearch.training.monitors import UpdateMonitor
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.preprocessing import Preprocessing
from hpsearch.training.regularization import add_l1, parameter_groups
from hpsearch.vocabulary import hyperparameters

# RandAugment is torchvision's own arithmetic; its histogram has no meta kernel.
AUGMENTATIONS: dict[str, Any] = {
    "flip": 0.5, "crop_padding": 1, "resized_crop": 0.5, "scale_jitter": 0.2, "color_jitter": 0.3,
    "hue_jitter": 0.1, "pca_color": 0.1, "cutout": 2, "random_erasing": 0.3,
}  # fmt: skip


def images() -> torch.Tensor:
    return torch.empty(16, 3, 8, 8, device="meta")


def labels() -> torch.Tensor:
    return torch.zeros(16, dtype=torch.long, device="meta")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_go_where_the_images_are(name: str) -> None:
    params = hyperparameters({}, {name: AUGMENTATIONS[name]})
    augmentation = build_augmentation(params, torch.rand(16, 3, 8, 8), None)
    assert augmentation is not None
    assert augmentation(images(), Generator()).device.type == "meta"


@pytest.mark.parametrize("model_name", ["cnn", "resnet18"])
@pytest.mark.parametrize("mixing", [Mixup(0.4), CutMix(1.0)], ids=["mixup", "cutmix"])
def test_a_whole_step_stays_on_one_device(model_name: str, mixing: Any) -> None:
    params = hyperparameters(
        {},
        {"dropout": 0.3, "weight_decay": 1e-4, "layer_lr_decay": 0.9, "learning_rate": 0.1},
        {"stochastic_depth": 0.3}
        if model_name == "resnet18"
        else {"normalization": "batch", "dropconnect": 0.1},
    )
    model = build_model(model_name, (3, 8, 8), 10, params).to("meta").train()
    groups = parameter_groups(model, factors=rate_factors(model, params))
    optimizer, monitor, averaged = (
        build_optimizer(groups, params),
        UpdateMonitor(groups, params),
        Averaged(model, 0.9),
    )
    scale = Preprocessing(torch.zeros(1, 3, 1, 1, device="meta"), torch.ones(1, 3, 1, 1, device="meta"))
    inputs, targets = mixing(scale(images()), labels(), Generator())
    loss = Gradients(model, MixedLoss(build_loss("cross_entropy", 0.1)), "float32", "meta", 2).add(
        inputs, targets
    )
    before = monitor.before()
    add_l1(groups.decaying, 1e-4)
    optimizer.step()
    averaged.update()
    assert loss.device.type == "meta"
    assert monitor.after(before, 1, 0.1).norms.device.type == "meta"


def test_test_time_views_stay_with_their_images() -> None:
    params = hyperparameters({})
    model = build_model("cnn", (3, 8, 8), 10, params).to("meta").eval()
    outputs = AveragedModel(model, Views(flips=True, scales=(1.2,)), probabilities=True)(images())
    assert (outputs.device.type, tuple(outputs.shape)) == ("meta", (16, 10))
