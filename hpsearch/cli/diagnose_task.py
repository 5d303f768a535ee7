"""A task with fixed hyperparameters: trained here, and its verdict proved by probes."""

import contextlib
import hashlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from hpsearch.cli.judged import Judged
from hpsearch.errors import HpsearchError, InvalidInput, UnknownClass
from hpsearch.paramsfile import load_params, parse_settings
from hpsearch.tasks import FileTask
from hpsearch.vocabulary import Knob, knobs_of


def is_task(source: str) -> bool:
    """Whether SOURCE names Python code rather than a log."""
    file, _, _ = source.rpartition(":")
    return source.endswith(".py") or file.endswith(".py")


def judged(
    source: str,
    params: Path | None,
    settings: Sequence[str],
    *,
    seed: int,
    probes: bool,
) -> Judged:
    """Raises InvalidInput for wrong params, HpsearchError in one sentence for what the task's code raises."""
    file, class_name = _parts(source)
    folder = file.parent.resolve()
    spec = FileTask(file=file.name, class_name=class_name, sha256=_digest(file))
    # torch takes a second: not before the question is known to be well put.
    from hpsearch.judge import diagnose
    from hpsearch.training.resolution import resolved

    try:
        # What the user's code prints is no part of the answer.
        with contextlib.redirect_stdout(sys.stderr), resolved(spec, folder, folder) as task:
            knobs = knobs_of({name: Knob.parse(words) for name, words in task.knobs.items()})
            known = {**(load_params(params, knobs) if params else {}), **parse_settings(settings, knobs)}
            found = diagnose(task, known, seed=seed, probes=probes)
    except UnknownClass as error:
        raise InvalidInput(error.message) from None
    except HpsearchError:
        raise
    except (Exception, SystemExit) as error:
        raise HpsearchError(_sentence(error, source, folder)) from None
    return Judged(source, {"passive": not probes, **found})


def _parts(source: str) -> tuple[Path, str]:
    if source.endswith(".py"):
        raise InvalidInput(f"{source} names no class", hint=f"say which: {source}:MyModel")
    file, _, class_name = source.rpartition(":")
    if not class_name.isidentifier():
        raise InvalidInput(f"{source!r} must read like task.py:MyModel")
    return Path(file), class_name


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        beside = sorted(p.name for p in file.parent.glob("*.py")) if file.parent.is_dir() else []
        hint = f"Python files there: {', '.join(beside)}" if beside else None
        raise InvalidInput(f"no task file {file}", hint=hint) from None
    except OSError as error:
        raise InvalidInput(f"can't read task file {file}: {error.strerror}") from None


def _sentence(error: BaseException, source: str, folder: Path) -> str:
    """What the task raised, and the last line of its own code that did."""
    if isinstance(error, SyntaxError):
        return f"{source.rpartition(':')[0]}:{error.lineno or 1}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    where = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    said = (str(error).strip().splitlines() or ["no message"])[0]
    return f"task {source} raised {type(error).__name__}{where}: {said}"
