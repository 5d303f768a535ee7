import pytest
import torch
import torchvision
from torch import nn

from hpsearch.errors import TrialError
from hpsearch.training.initialization import weight_layers
from hpsearch.training.models import ACTIVATION_MODULES, build_model
from hpsearch.training.preprocessing import fit_preprocessing
from hpsearch.vocabulary import ACTIVATIONS, NAMED_MODELS, TORCHVISION_MODELS, hyperparameters


def test_the_vocabulary_lists_torchvisions_classification_models() -> None:
    assert list(TORCHVISION_MODELS) == torchvision.models.list_models(module=torchvision.models)


def test_every_activation_of_the_vocabulary_is_here() -> None:
    assert tuple(ACTIVATION_MODULES) == ACTIVATIONS


@pytest.mark.parametrize("name", NAMED_MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_named_models_take_every_image_size(name: str, shape: tuple[int, ...]) -> None:
    model = build_model(name, shape, 7, hyperparameters({}))
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_mlp_has_the_depth_width_and_dropout_asked_for() -> None:
    params = hyperparameters(
        {}, {"hidden_layers": 3, "hidden_units": 17, "dropout": 0.25, "activation": "tanh"}
    )
    model = build_model("mlp", (64,), 10, params)
    assert [m.weight.shape for m in weight_layers(model)] == [(17, 64), (17, 17), (17, 17), (10, 17)]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25] * 3
    assert sum(isinstance(m, nn.Tanh) for m in model.modules()) == 3


def test_mlp_without_hidden_layers_is_linear() -> None:
    model = build_model("mlp", (64,), 10, hyperparameters({}, {"hidden_layers": 0}))
    assert [m.weight.shape for m in weight_layers(model)] == [(10, 64)]


def test_cnn_doubles_its_channels() -> None:
    model = build_model("cnn", (3, 32, 32), 10, hyperparameters({}, {"channels": 5}))
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [5, 10, 20]


def test_cnn_says_what_it_cannot_take() -> None:
    with pytest.raises(TrialError, match=r"\(64,\)"):
        build_model("cnn", (64,), 10, hyperparameters({}))


# One of each family whose construction differs: grey images, small images, auxiliary heads, attention.
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvision_models_take_small_grey_images(name: str) -> None:
    model = build_model(name, (1, 28, 28), 10, hyperparameters({})).train()
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("name", ["googlenet", "vit_b_16", "alexnet"])
def test_models_for_large_images_get_enlarged_ones(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, (3, 32, 32), 10, hyperparameters({})).train()
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet18", "regnet_x_400mf"])
def test_models_that_take_small_images_get_them_as_they_are(name: str) -> None:
    model = build_model(name, (3, 32, 32), 10, hyperparameters({}))
    assert not any(isinstance(module, nn.Upsample) for module in model.modules())


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(TrialError, match="did you mean 'resnet18'"):
        build_model("resnet_18", (3, 32, 32), 10, hyperparameters({}))


def test_standardized_vectors_have_mean_0_and_std_1_per_feature() -> None:
    inputs = torch.stack([torch.arange(10.0) * 3 + 5, torch.arange(10.0) * -0.1], dim=1)
    scaled = fit_preprocessing("standardized", inputs)(inputs)  # type: ignore[misc]
    assert torch.allclose(scaled.mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(scaled.std(0, correction=0), torch.ones(2))


def test_constant_features_keep_std_1() -> None:
    inputs = torch.full((5, 2), 7.0)
    fitted = fit_preprocessing("standardized", inputs)
    assert fitted is not None
    assert fitted.std.flatten().tolist() == [1.0, 1.0]
    assert float(fitted(inputs).abs().max()) == 0.0


def test_images_are_scaled_per_channel() -> None:
    inputs = torch.rand(20, 3, 4, 4) * torch.tensor([1.0, 10.0, 100.0])[None, :, None, None]
    fitted = fit_preprocessing("standardized", inputs)
    assert fitted is not None
    assert fitted.mean.shape == (1, 3, 1, 1)
    assert torch.allclose(fitted(inputs).std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_centering_moves_and_does_not_scale() -> None:
    inputs = torch.tensor([[1.0], [3.0]])
    assert fit_preprocessing("centered", inputs)(inputs).flatten().tolist() == [-1.0, 1.0]  # type: ignore[misc]


def test_token_ids_are_left_alone() -> None:
    assert fit_preprocessing("standardized", torch.tensor([[1, 2], [3, 4]])) is None
    assert fit_preprocessing("none", torch.rand(3, 2)) is None
