"""`hpsearch diagnose`: what is wrong with one run, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server

if TYPE_CHECKING:
    from hpsearch.cli.judged import Judged


def diagnose(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="task.py:MyModel, or a CSV, JSON or JSON lines log."),
    ] = None,
    params: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML of hyperparameters: `name: value` lines.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One of them; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a task: initialization, split, data order.")] = 0,
    no_probes: Annotated[
        bool, typer.Option("--no-probes", help="Of a task or a trial: no experiments.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of a log: judge by this metric (default: val_accuracy, else val_loss)."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=NAME", help="Of a log: what a column measures; may be repeated."
        ),
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, help="Of a log: how many classes there are.")] = None,
    trial: Annotated[
        int | None, typer.Option(metavar="TRIAL", min=0, help="A trial's id; with --study its number there.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="STUDY", help="The study that --trial counts in.")
    ] = None,
    tasks: Annotated[
        Path | None,
        typer.Option("--tasks", metavar="DIR", help="Of a trial: the folder of its study's own task.py."),
    ] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Say what is wrong with one run, with the evidence and what to do about it.

    A task is trained and its verdict proved by short experiments; so is a trial's, by its server's workers. A log
    is judged by its curves.
    """
    from hpsearch.cli import diagnose_log, diagnose_task, diagnose_trial, diagnosis_card, show
    from hpsearch.errors import InvalidInput

    if (source is None) == (trial is None):
        raise InvalidInput(
            "give either SOURCE (task.py:MyModel or a log) or --trial TRIAL, not both and not neither"
        )
    if study is not None and trial is None:
        raise InvalidInput("--study needs --trial: a diagnosis is of one run")
    judged: Judged
    if trial is not None:
        place = diagnose_trial.Place(server=server, token=token, home=home, tasks=tasks)
        judged = diagnose_trial.judged(trial, study, place, probes=not no_probes)
    elif diagnose_task.is_task(source or ""):
        judged = diagnose_task.judged(source or "", params, settings or [], seed=seed, probes=not no_probes)
    else:
        judged = diagnose_log.judged(
            Path(source or ""), params, settings or [], metric=metric, columns=columns or [], classes=classes
        )
    if json:
        show.document(judged.document)
    else:
        diagnosis_card.show(judged)
