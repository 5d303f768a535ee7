"""The named task: a data set and a model by name."""

from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from hpsearch.space import Params
from hpsearch.training.datasets import load_parts
from hpsearch.training.image_folder import picture_classes, picture_parts
from hpsearch.training.models import build_model
from hpsearch.training.pretrained import Pretrained, read_pretrained
from hpsearch.training.task import Data, Task
from hpsearch.vocabulary import DATASETS


class DatasetModel(Task):
    """`dataset` and `model` of the vocabulary; its data are split by the replicate's seed."""

    defaults: ClassVar[Params] = {}

    def __init__(
        self,
        dataset: str,
        model: str,
        metric: str,
        data_dir: Path,
        weights: str | None = None,
        folder: str | None = None,
    ) -> None:
        self.dataset = dataset
        self.model_name = model
        self.metric = metric  # type: ignore[misc]  # a subclass names it, here the study does
        self.data_dir = data_dir
        self.weights = weights
        self.folder = data_dir / (folder or "")

    def data(self, params: Params, seed: int) -> Data:
        if self.dataset == "image_folder":
            pictures = picture_parts(self.folder, int(params["image_size"]), seed)
            return Data(pictures.train, pictures.validation, pictures.test)
        parts = load_parts(self.dataset, self.data_dir, seed)
        return Data(self._shaped(parts.train), self._shaped(parts.validation), self._shaped(parts.test))

    def _shaped(self, part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """digits before an mlp is a table of 64 features, standardised one by one; the rest are images."""
        inputs, targets = part
        is_table = self.dataset == "digits" and self.model_name == "mlp"
        return (inputs.flatten(1) if is_table else inputs), targets

    def pretrained(self, params: Params) -> Pretrained | None:
        if self.weights is None:
            return None
        return read_pretrained(self.weights, self.model_name, self.data_dir)

    def model(self, params: Params) -> nn.Module:
        card = DATASETS[self.dataset]
        if self.dataset == "image_folder":
            side = int(params["image_size"])
            classes = len(picture_classes(self.folder))
            return build_model(self.model_name, (3, side, side), classes, params)
        return build_model(self.model_name, card.shape, card.classes, params)
