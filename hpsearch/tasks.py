"""What is trained, as a study says it: a data set and a model by name, a class in a file, or a command.

`hpsearch.training.task.Task` is the class that a worker makes of it.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from hpsearch.command import CommandTask
from hpsearch.errors import nearest, unknown
from hpsearch.records import Record
from hpsearch.vocabulary import DATASETS, METRICS, MODELS, Knob

# A worker's label: it was started with a folder of task files. Only such a worker is given their studies.
TASK_FILES = "task-files"
# And for commands: it was started with --allow-commands.
COMMANDS = "commands"
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth")
WEIGHTS_NAME = re.compile(r"DEFAULT|IMAGENET1K_[A-Z0-9_]{1,60}")


class NamedTask(Record):
    """A data set and a model by name.

    `folder`: where the pictures of an image_folder lie inside the worker's --data. `weights` to begin from: a file inside the worker's --data, or the name of torchvision's that are cached there.
    """

    kind: Literal["named"] = "named"
    dataset: str
    model: str
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    folder: str | None = Field(default=None, min_length=1, max_length=1_000)
    weights: str | None = Field(default=None, min_length=1, max_length=1_000)

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, name: str) -> str:
        if name not in DATASETS:
            raise ValueError(unknown("data set", name, DATASETS))
        return name

    @field_validator("model")
    @classmethod
    def _known_model(cls, name: str) -> str:
        if name not in MODELS:
            near = nearest(name, MODELS)
            also = f"did you mean {near!r}?" if near else "mlp, cnn or a torchvision classification model"
            raise ValueError(f"unknown model {name!r}; {also}")
        return name

    @field_validator("folder")
    @classmethod
    def _inside_data(cls, name: str | None) -> str | None:
        if name is not None and not _is_inside(name):
            raise ValueError(f"folder must lie inside the worker's data folder, not {name!r}")
        return name

    @model_validator(mode="after")
    def _folder_of_pictures(self) -> Self:
        if (self.dataset == "image_folder") != (self.folder is not None):
            raise ValueError(
                "data set image_folder needs a folder inside the worker's data folder: "
                "{dataset: image_folder, folder: pets, model: resnet18}"
                if self.folder is None
                else f"folder is for image_folder; data set {self.dataset} has its own files, remove folder"
            )
        return self

    @field_validator("weights")
    @classmethod
    def _inside_or_named(cls, name: str | None) -> str | None:
        if name is None or WEIGHTS_NAME.fullmatch(name):
            return name
        path = PurePosixPath(name)
        if path.suffix not in WEIGHTS_SUFFIXES or not _is_inside(name):
            raise ValueError(
                f"weights {name!r} must be a {', '.join(WEIGHTS_SUFFIXES[:-1])} or {WEIGHTS_SUFFIXES[-1]} file inside "
                "the worker's data folder, or a name of torchvision's weights such as DEFAULT"
            )
        return name


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name)


class FileTask(Record):
    """A `Task` subclass in a file beside the study file. `sha256` binds the study to the file's contents.

    `knobs` and `metric` are the class's own, read from its source without importing it.
    """

    kind: Literal["file"] = "file"
    file: str
    class_name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    knobs: dict[str, Knob] = {}
    metric: str | None = None

    @field_validator("file")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.suffix != ".py" or not _is_inside(name):
            raise ValueError(f"task file must be a .py file inside the study's folder, not {name!r}")
        return name


Task = Annotated[NamedTask | FileTask | CommandTask, Field(discriminator="kind")]


def objective_metrics(task: NamedTask | FileTask | CommandTask) -> set[str] | None:
    """Metrics that a task reports, or None where only its code knows."""
    if isinstance(task, CommandTask):
        return set(task.groups) or None
    if isinstance(task, FileTask):
        if task.metric not in METRICS:
            return None
        name = task.metric
    else:
        name = task.metric
    return {f"{split}_{what}" for split in ("val", "train") for what in ("loss", name)}
