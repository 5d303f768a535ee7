"""The console entry. Nothing heavy is imported before a command runs: `--help` answers at once."""

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from hpsearch import __version__
from hpsearch.cli import config, db, diagnose, doctor, run, serve, study, token, trial, worker
from hpsearch.errors import HpsearchError

# Not ours to mend: rights, a full disk, a read-only one.
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})

app = typer.Typer(
    name="hpsearch",
    help="Hyperparameter search by the seven-step recipe, with evidence at every gate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.add_typer(worker.app, name="worker")
app.add_typer(study.app, name="study")
app.add_typer(trial.app, name="trial")
app.add_typer(token.app, name="token")
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.command("diagnose")(diagnose.diagnose)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hpsearch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Every error ends as one sentence on standard error and its exit code."""
    try:
        app(prog_name="hpsearch")
    except HpsearchError as error:
        _say(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader has seen enough; keep the interpreter's last flush from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # the one place that must not let a traceback out
        if isinstance(error, OSError) and error.errno in REFUSED:
            place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
            typer.echo(f"Error: can't use {place}: {(error.strerror or '').lower()}", err=True)
        else:
            _say_unexpected(error)
        sys.exit(1)


def _say(error: HpsearchError) -> None:
    """The message, every further problem, and what to do next."""
    listed = [problem.detail for problem in error.problems] or [error.message]
    if error.message not in listed:
        listed.insert(0, error.message)
    for number, words in enumerate(listed):
        line = " ".join(words.split())
        typer.echo(f"Error: {line}" if number == 0 else f"       {line}", err=True)
    if error.hint:
        typer.echo(f"Hint:  {error.hint}", err=True)


def _say_unexpected(error: Exception) -> None:
    first = (str(error).splitlines() or [""])[0]
    try:
        where = f"Details are in {_write_log()}"
    except OSError as refused:
        where = f"Details can't be written: {refused.strerror}"
    typer.echo(f"Error: unexpected {type(error).__name__}: {first}\n{where}", err=True)


def _write_log() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="hpsearch-", suffix=".log")
    with os.fdopen(descriptor, "w") as file:
        traceback.print_exc(file=file)
    return Path(name)


if __name__ == "__main__":
    main()
