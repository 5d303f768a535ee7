"""The script that a command names: found beside the study file, and bound to its contents."""

import hashlib
from pathlib import Path

from hpsearch.command import PLACEHOLDER, CommandTask
from hpsearch.errors import TaskNotAllowed

MAX_BYTES = 4 * 1024 * 1024  # a larger file is no script


def with_script(task: CommandTask, study_folder: Path) -> CommandTask:
    """The task with the first word of its command that is a file inside its folder, and that file's SHA-256.

    Modules (`python -m train`) and what a script imports are not looked at.
    """
    folder = study_folder.resolve() / task.folder
    for word in task.argv:
        if PLACEHOLDER.search(word) is None and _is_script(folder, word):
            name = str(Path(word))  # ./train.py is train.py
            return task.model_copy(update={"script": name, "sha256": digest(folder / name)})
    return task


def _is_script(folder: Path, word: str) -> bool:
    path = folder / word
    try:
        inside = not Path(word).is_absolute() and path.resolve().is_relative_to(folder)
        return inside and path.is_file() and path.stat().st_size <= MAX_BYTES
    except OSError:  # no name for a file: too long
        return False


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_script(task: CommandTask, folder: Path) -> None:
    """Raises TaskNotAllowed where the script in the command's `folder` is not the one that the study was made
    with, leads out of it, or is missing.
    """
    if task.script is None or task.sha256 is None:
        return
    path = folder / task.script
    if ".." in Path(task.script).parts or not path.resolve().is_relative_to(folder):
        raise TaskNotAllowed(f"the command's script {task.script} leads out of {folder}")
    if not path.is_file():
        raise TaskNotAllowed(
            f"there is no script {task.script} in {folder}", hint="copy the study's folder to this worker"
        )
    found = digest(path)
    if found != task.sha256:
        raise TaskNotAllowed(
            f"the script {task.script} here has the SHA-256 {found[:12]}…, the study was made with {task.sha256[:12]}…",
            hint="copy the study's script to this worker, or create the study again from this one",
        )
