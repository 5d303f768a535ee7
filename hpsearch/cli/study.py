"""`hpsearch study`: create, look at, steer and export studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hpsearch.cli.export import export, report
from hpsearch.cli.fork import fork
from hpsearch.cli.options import HomeDir, Json, JsonLines, Secret, Server, StudyName, Yes

if TYPE_CHECKING:
    from hpsearch.client import StudyHandle
    from hpsearch.records import Study

app = typer.Typer(help="Create, look at, steer and export studies.", no_args_is_help=True)


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A study file, or the folder that holds it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the exact points and the cost; store nothing.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Another name for the study.")] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Hand a study to the server; its workers train it. The same name and file again is the same study."""
    from hpsearch import studyfile
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.cli.run import renamed

    spec = renamed(studyfile.load(file), name)
    with connected(server, token, home, new_home=True) as client:
        if dry_run:
            show.preview(client.preview(spec), json=json)
            return
        record = client.create_study(spec).record()
    if json:
        show.document(record)
    else:
        show.note(f"study {record.name} is {record.state}")


@app.command("list")
def list_studies(
    server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """List studies, newest first."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        records = client.studies()
    if json:
        show.document(records)
    else:
        show.studies(records)


@app.command("show")
def show_study(
    study: StudyName, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Show a study: its state, the time left and each stage's verdict."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        handle = client.study(study)
        record, stages, best, eta = handle.record(), handle.stages(), handle.best(1), handle.eta()
    if json:
        show.document({"study": record, "stages": stages, "best": best[0] if best else None, "eta": eta})
        return
    show.study_head(record, eta)
    show.cards(stages)
    if best:
        show.best(best, record.objective_metric)


@app.command("watch")
def watch(
    study: StudyName,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: JsonLines = False,
) -> None:
    """Follow a study until it ends; with --json, its events one a line."""
    from hpsearch.cli import show
    from hpsearch.cli.board import follow
    from hpsearch.cli.connect import connected
    from hpsearch.cli.finish import answer, raise_unless_completed

    with connected(server, token, home) as client:
        handle = client.study(study)
        if json:
            for event in handle.events():
                show.line(event)
            return
        record = follow(handle, show.errors())
        best = handle.best(1)
        answer(record, best)
        raise_unless_completed(record, handle.stages(), answered=bool(best))


@app.command("best")
def best(
    study: StudyName,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 1,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Show the best points, with what can't be told apart from the first."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        handle = client.study(study)
        found, metric = handle.best(n), handle.record().objective_metric
    if json:
        show.document(found)
    else:
        show.best(found, metric)


@app.command("trials")
def trials(
    study: StudyName,
    state: Annotated[str | None, typer.Option(help="Only trials in this state.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only trials of this stage.")] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """List a study's trials."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        found = [trial.record for trial in client.study(study).trials(state=state, stage=stage)]
    if json:
        show.document(found)
    else:
        show.trials(found)


@app.command("pause")
def pause(
    study: StudyName, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Start no new trials until `resume`; those under way finish."""
    _act("pause", study, server, token, home, json=json)


@app.command("resume")
def resume(
    study: StudyName, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Continue a paused or stopped study."""
    _act("resume", study, server, token, home, json=json)


@app.command("stop")
def stop(
    study: StudyName, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Start no new trials; the study is stopped when those under way have finished."""
    _act("stop", study, server, token, home, json=json)


@app.command("cancel")
def cancel(
    study: StudyName,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """End a study for good and kill what is under way."""
    if not yes:
        typer.confirm(f"Cancel study {study} for good?", abort=True, err=True)
    _act("cancel", study, server, token, home, json=json)


@app.command("retry")
def retry(
    study: StudyName, server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Run failed and cancelled trials again."""
    _act("retry", study, server, token, home, json=json)


@app.command("delete")
def delete(
    study: StudyName,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete a study that is not under way, with its trials, curves and checkpoints."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        handle = client.study(study)
        name = handle.record().name
        if not yes:
            typer.confirm(f"Delete study {name} with all its trials?", abort=True, err=True)
        handle.delete()
    if json:
        show.document({"deleted": name})
    else:
        show.note(f"study {name} is deleted")


app.command("fork")(fork)
app.command("export")(export)
app.command("report")(report)


def _act(
    action: Literal["pause", "resume", "stop", "cancel", "retry"],
    study: str,
    server: str | None,
    token: str | None,
    home: Path | None,
    *,
    json: bool,
) -> None:
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        record = _acted(client.study(study), action)
    if json:
        show.document(record)
    else:
        show.note(f"study {record.name} is {record.state}")


def _acted(handle: "StudyHandle", action: Literal["pause", "resume", "stop", "cancel", "retry"]) -> "Study":
    match action:
        case "pause":
            return handle.pause()
        case "resume":
            return handle.resume()
        case "stop":
            return handle.stop()
        case "cancel":
            return handle.cancel()
        case "retry":
            return handle.retry()
