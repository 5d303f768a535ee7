"""Training: the only package that imports torch. A user's task subclasses `Task` and returns `Data`."""

from hpsearch.training.pretrained import Pretrained
from hpsearch.training.task import Data, Task

__all__ = ["Data", "Pretrained", "Task"]
