"""What is trained, as a study says it: a data set and a model by name, a class in a file, or a command.

`hpsearch.training.task.Task` is the class that a worker makes of it.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator

from hpsearch.command import CommandTask
from hpsearch.errors import nearest, unknown
from hpsearch.records import Record
from hpsearch.vocabulary import DATASETS, METRICS, MODELS, Knob

# A worker's label: it was started with a folder of task files. Only such a worker is given their studies.
TASK_FILES = "task-files"
# And for commands: it was started with --allow-commands.
COMMANDS = "commands"


class NamedTask(Record):
    """A data set and a model by name."""

    kind: Literal["named"] = "named"
    dataset: str
    model: str
    metric: Literal["accuracy", "balanced_accuracy"] = "accuracy"

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
        if path.suffix != ".py" or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
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
