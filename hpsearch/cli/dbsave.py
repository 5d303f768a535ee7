"""A home's database and checkpoints, saved to a new folder that can serve as a home."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.home import Home
from hpsearch.store import backup
from hpsearch.store.stored_files import StoredFile

FILE = "hpsearch.db"
UNFINISHED = (
    "hpsearch.db.part"  # a folder without the database serves nobody: it gets its name when all is there
)


def save(home: Home, database: Path, target: Path) -> dict[str, int]:
    """The database, then the checkpoints that it speaks of.

    The tokens in it are digests; the home's own token is not copied. Raises HpsearchError where the folder is not empty
    or can't be written, and leaves nothing there then.
    """
    backup.require(database)
    with _new_folder(target):
        backup.copy(database, target / UNFINISHED)
        files = backup.stored_files(target / UNFINISHED)
        saved = sum(_save_file(home.checkpoints, Home(target).checkpoints, file) for file in files)
        backup.finish(target / UNFINISHED, target / FILE)
    return {"checkpoints": saved, "missing": len(files) - saved}


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


def _save_file(source: Path, target: Path, file: StoredFile) -> bool:
    """Whether it was there: between copy and now, a newer one may have taken its place."""
    absolute = source / file.path
    copied = target / absolute.relative_to(source)
    try:
        copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(absolute, copied)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HpsearchError(f"can't write {copied}: {error.strerror}") from None
    return True
