"""`hpsearch trial`: one trial, its curves, log and checkpoints."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server, TrialNumber

app = typer.Typer(help="Look at one trial, stop it, run it again or clone it.", no_args_is_help=True)


@app.command("show")
def show_trial(
    trial: TrialNumber, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Show a trial: state, params, metrics and every attempt at it."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        handle = client.trial(TrialId(trial))
        record, runs = handle.record, handle.runs()
    if json:
        show.document({"trial": record, "runs": runs})
    else:
        show.trial(record, runs)


@app.command("curves")
def curves(
    trial: TrialNumber,
    metric: Annotated[list[str] | None, typer.Option(help="Only this metric; may be repeated.")] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Draw a trial's curves in the terminal; with --json, every point."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.errors import NotFound, unknown
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        series = client.trial(TrialId(trial)).metrics()
    for name in metric or ():
        if name not in series:
            raise NotFound(unknown("metric", name, series or ["(none)"]))
    chosen = {name: points for name, points in series.items() if not metric or name in metric}
    if json:
        show.document(chosen)
    else:
        show.curves(chosen)


@app.command("log")
def log(
    trial: TrialNumber, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Print what a trial wrote, the last 64 KiB of its latest attempt."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        text = client.trial(TrialId(trial)).log()
    if json:
        show.document({"log": text})
    else:
        typer.echo(text, nl=not text.endswith("\n"))


@app.command("checkpoint")
def checkpoint(
    trial: TrialNumber,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    which: Annotated[Literal["best", "last"], typer.Option(help="The best snapshot, or the last.")] = "best",
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Download a checkpoint; `best` holds the weights that were best on validation."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        client.trial(TrialId(trial)).checkpoint(output, which)
    if json:
        show.document({"checkpoint": str(output)})
    else:
        show.note(f"wrote {output}")


@app.command("stop")
def stop(
    trial: TrialNumber, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Cancel a trial that waits or runs."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        record = client.trial(TrialId(trial)).stop()
    if json:
        show.document(record)
    else:
        show.note(f"trial {trial} is {record.state}")


@app.command("retry")
def retry(
    trial: TrialNumber, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Run a failed or cancelled trial again."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        record = client.trial(TrialId(trial)).retry()
    if json:
        show.document(record)
    else:
        show.note(f"trial {trial} is {record.state}")


@app.command("clone")
def clone(
    trial: TrialNumber,
    name: Annotated[
        str | None, typer.Option(help="The new study's name (default: STUDY-trial-NUMBER).")
    ] = None,
    replicates: Annotated[int, typer.Option(min=1, max=100, help="How many other seeds.")] = 3,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Train a trial's point again on other seeds, as a study of its own."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TrialId

    with connected(server, token, home) as client:
        made = client.trial(TrialId(trial)).clone(name, replicates)
    if json:
        show.document(made)
    else:
        show.note(f"study {made.name} is {made.state}")
