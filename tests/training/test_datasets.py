import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from hpsearch.errors import DataUnavailable
from hpsearch.training.datasets import Source, load_parts, load_source
from hpsearch.training.splits import stratified
from hpsearch.vocabulary import DATASETS


@pytest.fixture(autouse=True)
def forget() -> None:
    load_parts.cache_clear()
    load_source.cache_clear()


def test_digits_has_the_promised_sizes_and_range(tmp_path: Path) -> None:
    parts = load_parts("digits", tmp_path, 0)
    assert [len(y) for _, y in (parts.train, parts.validation, parts.test)] == [1150, 287, 360]
    assert parts.train[0].shape[1:] == DATASETS["digits"].shape
    assert len(parts.train[1]) == DATASETS["digits"].train_size
    assert (float(parts.train[0].min()), float(parts.train[0].max())) == (0.0, 1.0)


def test_digits_are_scikit_learns_own() -> None:
    digits = load_digits()
    source = load_source("digits", Path())
    ours = torch.cat([source.inputs, source.test_inputs]).flatten(1).double()
    theirs = torch.from_numpy(digits.data)
    assert torch.equal(ours.unique(dim=0), theirs.unique(dim=0))
    labels = torch.cat([source.targets, source.test_targets])
    assert torch.equal(torch.bincount(labels), torch.bincount(torch.from_numpy(digits.target)))


def test_the_test_set_does_not_depend_on_the_seed_and_validation_does(tmp_path: Path) -> None:
    a, b = load_parts("digits", tmp_path, 1), load_parts("digits", tmp_path, 2)
    assert torch.equal(a.test[0], b.test[0])
    assert not torch.equal(a.validation[0], b.validation[0])


def test_all_splits_are_stratified(tmp_path: Path) -> None:
    parts = load_parts("digits", tmp_path, 3)
    whole = torch.bincount(load_source("digits", tmp_path).targets).double()
    for _, labels in (parts.train, parts.validation):
        expected = whole * len(labels) / whole.sum()
        assert float((torch.bincount(labels) - expected).abs().max()) < 1.01


def test_a_split_is_made_once_per_process(tmp_path: Path) -> None:
    assert load_parts("digits", tmp_path, 4) is load_parts("digits", tmp_path, 4)


def test_stratified_choice_loses_no_sample() -> None:
    labels = np.array([0] * 95 + [1] * 5)
    chosen, rest = stratified(labels, 20, seed=0)
    assert sorted([*chosen, *rest]) == list(range(100))
    assert np.bincount(labels[chosen]).tolist() == [19, 1]


def test_regression_targets_are_split_at_random() -> None:
    chosen, rest = stratified(np.linspace(0, 1, 10), 4, seed=1)
    assert (len(chosen), len(rest)) == (4, 6)


def write_mnist(folder: Path, train: int, test: int) -> None:
    """Files as http://yann.lecun.com/exdb/mnist describes them: big-endian sizes, then bytes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        contents = {
            f"{part}-images-idx3-ubyte": struct.pack(">4i", 2051, count, 28, 28) + images.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">2i", 2049, count) + labels.tobytes(),
        }
        for name, raw in contents.items():
            (folder / name).write_bytes(raw)
            with gzip.open(folder / f"{name}.gz", "wb") as packed:
                packed.write(raw)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_mnist_is_read_from_its_own_files(name: str, folder: str, tmp_path: Path) -> None:
    write_mnist(tmp_path / folder / "raw", 100, 20)
    parts = load_parts(name, tmp_path, 0)
    assert parts.train[0].shape == (90, *DATASETS[name].shape)
    assert (len(parts.validation[1]), len(parts.test[1])) == (10, 20)
    assert parts.train[0].dtype == torch.float32
    assert float(parts.train[0].max()) <= 1.0 < 255 * float(parts.train[0].max())
    assert torch.bincount(parts.validation[1]).tolist() == [1] * 10


def write_cifar(root: Path, dataset: Any, key: str, per_file: int) -> None:
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, _ in dataset.train_list + dataset.test_list:
        data = rng.integers(0, 256, (per_file, 3072), dtype=np.uint8)
        data[:, :1024] = 255  # the red plane comes first
        entry = {"data": data, key: [i % 10 for i in range(per_file)]}
        (folder / name).write_bytes(pickle.dumps(entry))
    meta = {dataset.meta["key"]: [str(i) for i in range(100)]}
    (folder / dataset.meta["filename"]).write_bytes(pickle.dumps(meta))


@pytest.mark.parametrize(
    ("name", "dataset", "key", "files"),
    [("cifar10", datasets.CIFAR10, "labels", 5), ("cifar100", datasets.CIFAR100, "fine_labels", 1)],
)
def test_cifar_is_read_from_its_own_files(
    name: str, dataset: Any, key: str, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, dataset, key, per_file=20)
    # The real archives' MD5 sums are the one thing small files can't have.
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    parts = load_parts(name, tmp_path, 0)
    assert parts.train[0].shape == (18 * files, *DATASETS[name].shape)
    assert len(parts.test[1]) == 20
    assert bool((parts.train[0][:, 0] == 1.0).all())
    assert not bool((parts.train[0][:, 1] == 1.0).all())


def test_data_that_cannot_be_had_are_one_sentence_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(datasets.MNIST, "download", no_network)
    with pytest.raises(DataUnavailable, match="mnist") as caught:
        load_parts("mnist", tmp_path, 0)
    assert str(tmp_path) in caught.value.message
    assert "--data" in str(caught.value.hint)


def test_damaged_files_are_reported_and_not_raised_raw(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", 100, 20)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03short")
    with pytest.raises(DataUnavailable, match="mnist"):
        load_parts("mnist", tmp_path, 0)


def test_source_keeps_images_as_bytes(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", 30, 10)
    source: Source = load_source("mnist", tmp_path)
    assert source.inputs.dtype == torch.uint8
