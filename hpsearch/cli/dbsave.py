"""A home's database and checkpoints, saved to a new folder that can serve as a home."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.cli.checkpoint_files import Fault, faults
from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.store import backup
from hpsearch.store.stored_files import StoredFile

FILE = "hpsearch.db"
UNFINISHED = f"{FILE}.part"  # a folder without the database serves nobody: it gets its name when all is there


@dataclass(frozen=True)
class Saved:
    """`wrong`: files that were not as they had been stored, hence are not in the backup either. `replaced`: how many
    others a running server had replaced by newer ones before they were copied."""

    files: list[StoredFile]
    wrong: dict[StoredFile, Fault]
    replaced: int

    @property
    def checkpoints(self) -> int:
        return len(self.files) - len(self.wrong) - self.replaced


def save(home: Home, database: Path, target: Path) -> Saved:
    """The database, then the checkpoints that it speaks of.

    The tokens in it are digests; the home's own token is not copied. Raises HpsearchError where the folder is not empty
    or can't be written, and leaves nothing there then.
    """
    backup.require(database)
    with _new_folder(target):
        backup.copy(database, target / UNFINISHED)
        files = backup.stored_files(target / UNFINISHED)
        for file in files:
            _save_file(home.checkpoints, Home(target).checkpoints, file)
        lost = faults(Home(target), files, quick=False)
        still = set(backup.stored_files(database)) if lost else set()
        backup.finish(target / UNFINISHED, target / FILE)
    wrong = {file: fault for file, fault in lost.items() if file in still}
    return Saved(files, wrong, replaced=len(lost) - len(wrong))


@contextmanager
def _new_folder(target: Path) -> Iterator[None]:
    """Make the folder, or take an empty one; where the block fails, all that was made is removed again."""
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise HpsearchError(f"{target} is not empty", hint="name a new folder")
    except OSError as error:
        raise HpsearchError(f"can't make {target}: {error.strerror}") from None
    try:
        yield
    except BaseException:
        with suppress(OSError):
            _empty(target)
            for folder in made:
                folder.rmdir()
        raise


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _save_file(source: Path, target: Path, file: StoredFile) -> None:
    absolute = source / file.path
    copied = target / absolute.relative_to(source)
    try:
        copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(absolute, copied)
    except OSError as error:
        raise HpsearchError(f"can't write {copied}: {error.strerror}") from None
