"""From a study's task to code: named tasks, and classes in the one folder that this place allows."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpsearch.command import CommandTask
from hpsearch.errors import TaskNotAllowed, TrialError, UnknownClass, unknown
from hpsearch.tasks import FileTask
from hpsearch.tasks import Task as TaskSpec
from hpsearch.training.named import DatasetModel
from hpsearch.training.task import Task


@contextmanager
def resolved(spec: TaskSpec, tasks_dir: Path | None, data_dir: Path) -> Iterator[Task]:
    """The task of `spec`, usable inside the context: its folder comes first on the import path there.

    A file is read once, compared with the study's SHA-256 and only then run. Raises TaskNotAllowed where
    the file is outside `tasks_dir`, missing or different, TrialError where it holds no such class.
    """
    if isinstance(spec, CommandTask):
        raise TaskNotAllowed(f"the command {spec.title} is run by a worker, not trained in its process")
    if not isinstance(spec, FileTask):
        yield DatasetModel(spec.dataset, spec.model, spec.metric, data_dir, spec.weights, spec.folder)
        return
    path = allowed_path(spec, tasks_dir)
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    if digest != spec.sha256:
        raise TaskNotAllowed(
            f"task file {spec.file} here has the SHA-256 {digest[:12]}…, the study was made with {spec.sha256[:12]}…",
            hint="copy the study's file to this worker, or create the study again from this one",
        )
    sys.path.insert(0, str(path.parent))
    try:
        yield _instance(spec, path, source)
    finally:
        with suppress(ValueError):  # the task may have changed the path itself
            sys.path.remove(str(path.parent))


def allowed_path(spec: FileTask, tasks_dir: Path | None) -> Path:
    """Where the file lies inside `tasks_dir`. Raises TaskNotAllowed for links, `..` and what isn't there."""
    if tasks_dir is None:
        raise TaskNotAllowed(
            f"task {spec.file}:{spec.class_name} is code of its own, and this worker runs named tasks only",
            hint="start the worker with --tasks FOLDER",
        )
    folder = tasks_dir.resolve()
    path = folder / spec.file
    if ".." in Path(spec.file).parts or path.resolve() != path:
        raise TaskNotAllowed(f"task file {spec.file} leads out of {folder} or through a link")
    if not path.is_file():
        raise TaskNotAllowed(
            f"there is no task file {spec.file} in {folder}",
            hint="copy the study's folder to this worker, or start it with --tasks FOLDER",
        )
    return path


def _instance(spec: FileTask, path: Path, source: bytes) -> Task:
    """Run the bytes that were compared, never the file again, as a module of its own name."""
    name = f"hpsearch_task_{spec.sha256[:16]}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    code = compile(source, str(path), "exec")
    # Running it is what a task file is for.
    exec(code, module.__dict__)  # noqa: S102  # nosec B102
    found = getattr(module, spec.class_name, None)
    if found is None:
        tasks = [key for key, value in vars(module).items() if _is_task(value) and value is not Task]
        raise UnknownClass(f"{spec.file}: {unknown('class', spec.class_name, tasks or ['(none)'])}")
    if not _is_task(found):
        raise TrialError(f"{spec.class_name} in {spec.file} must be a subclass of hpsearch.training.Task")
    task: Task = found()
    return task


def _is_task(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Task)
