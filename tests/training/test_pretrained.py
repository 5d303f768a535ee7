"""Fine-tuning from weights in the formats that they come in."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import ShuffleNet_V2_X0_5_Weights, get_model

from hpsearch.errors import DataUnavailable, TrialError
from hpsearch.records import Budget, Outcome, Program
from hpsearch.tasks import NamedTask
from hpsearch.training.checkpoint import BEST_FILE
from hpsearch.training.models import build_model
from hpsearch.training.pretrained import Pretrained, plain_names, read_pretrained
from hpsearch.vocabulary import hyperparameters
from hpsearch.wire import Assignment
from tests.training.bench import Bench
from tests.training.test_program import TASK, file_task, training

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Of torchvision's model for 1,000 classes of colour images, as someone has trained it."""
    torch.manual_seed(7)
    return {name: t.clone() for name, t in get_model(NAME, weights=None).state_dict().items()}


def fine_tuned(bench: Bench, reference: str, **params: Any) -> Outcome:
    assignment = Assignment(
        task=NamedTask(dataset="digits", model=NAME, weights=reference),
        params={"learning_rate": 1e-8, "batch_size": 8, "train_fraction": 0.02, **params},
        program=Program(kind="train"),
        budget=Budget(steps=1),
    )
    return bench.run(assignment)[0]


@pytest.mark.parametrize("file", ["a.safetensors", "a.pth", "sub/a.pt"])
def test_training_begins_from_a_file(
    bench: Bench, weights: dict[str, Tensor], file: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = bench.place.data_dir / file
    path.parent.mkdir(parents=True)
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"model": {f"module.{n}": t for n, t in weights.items()}, "epoch": 3}, path)
    with caplog.at_level(logging.WARNING):
        outcome = fine_tuned(bench, file, freeze_layers=-1)
    assert outcome.state == "completed", outcome.message
    assert (
        "the head is new, since fc.weight has the shape (1000, 1024) there and (10, 1024) here" in caplog.text
    )
    best = load_file(bench.place.work_dir / BEST_FILE)
    grey = weights["conv1.0.weight"].sum(1, keepdim=True)  # digits have one channel
    assert torch.equal(best["conv1.0.weight"], grey)
    frozen = [name for name in weights if name.split(".")[0] not in ("fc", "conv1")]
    assert all(torch.equal(best[name], weights[name]) for name in frozen)
    assert best["fc.weight"].shape == (10, 1024)


def test_a_head_of_the_same_classes_is_kept_and_initialization_draws_only_the_rest(
    weights: dict[str, Tensor],
) -> None:
    model = build_model(NAME, (3, 32, 32), 1000, hyperparameters({}))
    assert Pretrained("w", weights).fit(model) is None
    assert all(torch.equal(t, weights[name]) for name, t in model.state_dict().items())


def test_weights_find_their_places_in_a_model_that_enlarges_its_images() -> None:
    model = build_model("alexnet", (3, 32, 32), 5, hyperparameters({}))
    given = {name.removeprefix("1."): torch.ones_like(t) for name, t in model.state_dict().items()}
    Pretrained("w", given).fit(model)
    assert all(bool((t == 1).all()) for t in model.state_dict().values())


def test_a_grey_convolution_answers_as_the_colours_together_did(weights: dict[str, Tensor]) -> None:
    colour, grey = (build_model(NAME, (c, 32, 32), 10, hyperparameters({})).eval() for c in (3, 1))
    for model in (colour, grey):
        Pretrained("w", weights).fit(model)
    images = torch.rand(2, 1, 32, 32)
    first = [m.get_submodule("conv1")(x) for m, x in ((grey, images), (colour, images.expand(-1, 3, -1, -1)))]
    assert torch.allclose(first[0], first[1], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"conv5.0.weight": torch.zeros(3)},
            r"conv5.0.weight has the shape \(3,\) there and \(1024, 192, 1, 1\) here",
        ),
        ({"conv5.0.weight": None}, "conv5.0.weight is missing there"),
        ({"head.weight": torch.zeros(3)}, "the model has no 'head.weight'"),
    ],
)
def test_weights_of_another_model_are_refused(
    weights: dict[str, Tensor], change: dict[str, Any], words: str
) -> None:
    given = {name: tensor for name, tensor in {**weights, **change}.items() if tensor is not None}
    with pytest.raises(TrialError, match=words):
        Pretrained("w", given).fit(build_model(NAME, (3, 32, 32), 10, hyperparameters({})))


def test_a_pickle_is_not_run(bench: Bench, tmp_path: Path) -> None:
    bench.place.data_dir.mkdir()
    torch.save(nn.Linear(2, 2), bench.place.data_dir / "whole.pt")
    (bench.place.data_dir / "torn.safetensors").write_bytes(b"\x00" * 20)
    (bench.place.data_dir / "text.pt").write_text("hello")
    for file in ("whole.pt", "torn.safetensors", "text.pt"):
        outcome = fine_tuned(bench, file)
        assert outcome.message.startswith(f"weights {file} can't be read as tensors by name alone"), (
            outcome.message
        )
        assert "model.state_dict()" in outcome.message


def test_what_is_not_there_is_said_with_the_place(bench: Bench, tmp_path: Path) -> None:
    assert "there are no weights a.pt in" in fine_tuned(bench, "a.pt").message
    bench.place.data_dir.mkdir(exist_ok=True)
    (tmp_path / "b.pt").touch()
    (bench.place.data_dir / "b.pt").symlink_to(tmp_path / "b.pt")
    assert "lead out of the data folder" in fine_tuned(bench, "b.pt").message


def test_tensors_are_asked_for(weights: dict[str, Tensor]) -> None:
    for found in ([1, 2], {}, {"epoch": 3}, {"state_dict": {"a": 1}}):
        with pytest.raises(TrialError, match="hold no tensors"):
            plain_names(found, "w")


def test_torchvisions_weights_are_used_where_they_are_cached(
    tmp_path: Path, weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataUnavailable, match="not cached here, and nothing is downloaded"):
        read_pretrained("DEFAULT", NAME, tmp_path)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights, folder / "net.pth")
    digest = hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(ShuffleNet_V2_X0_5_Weights.DEFAULT.value, "url", f"https://x.org/net-{digest}.pth")
    (folder / "net.pth").rename(folder / f"net-{digest}.pth")
    found = read_pretrained("IMAGENET1K_V1", NAME, tmp_path)
    assert all(torch.equal(found.tensors[name], weights[name]) for name in weights)
    with (folder / f"net-{digest}.pth").open("ab") as file:
        file.write(b"x")
    with pytest.raises(TrialError, match="are damaged"):
        read_pretrained("DEFAULT", NAME, tmp_path)
    with pytest.raises(TrialError, match="did you mean 'IMAGENET1K_V1'"):
        read_pretrained("IMAGENET1K_V2", NAME, tmp_path)


def test_a_task_of_ones_own_may_bring_weights(bench: Bench, tmp_path: Path) -> None:
    source = TASK.replace("import Data, Task", "import Data, Pretrained, Task") + (
        "\n    def pretrained(self, params):\n"
        "        return Pretrained('ones', {'0.weight': torch.ones(16, 5), '0.bias': torch.ones(16)})\n"
    )
    task = file_task(tmp_path, source)
    outcome, _ = bench.run(training(task, learning_rate=0.1, freeze_layers=-1), tasks_dir=tmp_path)
    assert outcome.state == "completed", outcome.message
    best = load_file(bench.place.work_dir / BEST_FILE)
    assert bool((best["0.weight"] == 1).all())
    assert not bool((best["2.weight"] == 1).any())


def test_a_check_looks_at_the_layers_that_learn(bench: Bench, weights: dict[str, Tensor]) -> None:
    bench.place.data_dir.mkdir()
    save_file(weights, bench.place.data_dir / "a.safetensors")
    assignment = Assignment(
        task=NamedTask(dataset="digits", model=NAME, weights="a.safetensors"),
        params={"batch_size": 8, "train_fraction": 0.02, "freeze_layers": -1},
        program=Program(kind="check"),
    )
    found = bench.run(assignment)[0]
    assert found.measurements["gradient_ratio"] == 1.0  # one layer learns
