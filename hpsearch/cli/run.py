"""`hpsearch run`: a study from its file to its report, on this machine, in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import Data, DatabaseUrl, HomeDir, Json, Secret, Server, Slots

if TYPE_CHECKING:
    from hpsearch.cli.crew import Crew, CrewPlan
    from hpsearch.cli.interruption import Interruption
    from hpsearch.client import Client, StudyHandle
    from hpsearch.records import Study
    from hpsearch.spec import StudySpec


def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="A study file, or the folder that holds it.")
    ],
    home: HomeDir = None,
    name: Annotated[str | None, typer.Option(help="Another name for the study.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, max=64, help="Local workers (default: 1).")] = None,
    slots: Slots = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    server: Server = None,
    token: Secret = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete an ended study of this name first, results and all.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a study here: server, workers, live progress and report. Ctrl-C stops; run it again to continue."""
    from hpsearch import studyfile
    from hpsearch.cli import show
    from hpsearch.cli.crew import Crew
    from hpsearch.cli.finish import tell
    from hpsearch.cli.interruption import Interruption

    spec = renamed(studyfile.load(study), name)
    plan = _plan(study, spec, home, workers, slots, data, database_url, server, token)
    plan.home.create()
    interruption = Interruption()
    interruption.listen()
    try:
        with Crew(plan) as crew, crew.muster() as client:
            if replace:
                delete_ended(client, spec.name)
            handle, record = _see_through(crew, client, spec, interruption)
            crew.dismiss()
            tell(handle, record, plan.home, json=json)
    except KeyboardInterrupt:
        show.note(f"{spec.name} is not finished; run it again to continue")
        raise typer.Exit(130) from None


def delete_ended(client: "Client", name: str) -> None:
    """Delete the study of this name, if there is one. Raises Conflict where it is under way."""
    from hpsearch.errors import NotFound

    try:
        client.study(name).delete()
    except NotFound:
        return


def renamed(spec: "StudySpec", name: str | None) -> "StudySpec":
    """The spec under another name. Raises InvalidInput where that can't be a name."""
    from hpsearch.spec import parse_spec

    return spec if name is None else parse_spec({**spec.model_dump(mode="python"), "name": name})


def _plan(
    study: Path,
    spec: "StudySpec",
    home: Path | None,
    workers: int | None,
    slots: int | None,
    data: Path | None,
    database_url: str | None,
    server: str | None,
    token: str | None,
) -> "CrewPlan":
    from hpsearch.cli.connect import locate
    from hpsearch.cli.crew import CrewPlan
    from hpsearch.cli.settings import resolve

    flags = {
        "home": home, "slots": slots, "data": data, "database_url": database_url, "server": server,
        "token": token,
    }  # fmt: skip
    chosen = resolve(flags)
    url = chosen["server"].text
    return CrewPlan(
        home=locate(chosen),
        tasks=(study if study.is_dir() else study.parent).absolute(),
        # A server by URL has workers of its own.
        workers=workers if workers is not None else 0 if url else 1,
        slots=chosen["slots"].number,
        data=Path(chosen["data"].text).absolute() if chosen["data"].text else None,
        database_url=chosen["database_url"].text,
        server=url,
        token=chosen["token"].text,
        commands=spec.task.kind == "command",
    )


def _see_through(
    crew: "Crew", client: "Client", spec: "StudySpec", interruption: "Interruption"
) -> tuple["StudyHandle", "Study"]:
    """Create or resume the study and follow it to its end."""
    from hpsearch.cli import show
    from hpsearch.cli.board import follow
    from hpsearch.records import FINISHED_STUDY_STATES

    handle = client.create_study(spec)
    record = _awake(handle)
    if record.state in FINISHED_STUDY_STATES:
        show.note(f"{record.name} has {record.state} already")
        return handle, record
    show.note(f"{record.name}: {record.method} study on {client.url}")
    crew.start_workers()

    def check() -> None:
        interruption.check()
        crew.check()

    return handle, follow(handle, show.errors(), check=check, idle=lambda: why_idle(client, spec))


def _awake(handle: "StudyHandle") -> "Study":
    """The study's record, after a paused or stopped study has been resumed."""
    from hpsearch.records import StudyState

    record = handle.record()
    if record.state in (StudyState.PAUSED, StudyState.STOPPING, StudyState.STOPPED):
        handle.resume()
        return handle.record()
    return record


def why_idle(client: "Client", spec: "StudySpec") -> str:
    """Why trials wait though none runs."""
    from hpsearch.tasks import FileTask

    workers = [worker for worker in client.workers() if worker.state == "active"]
    if not workers:
        return "trials wait: no worker is active; start one with `hpsearch worker start`"
    gpus = [slot for worker in workers for slot in worker.slots if slot.device == "cuda"]
    if spec.resources.gpus and not gpus:
        return f"trials wait: the study asks for {spec.resources.gpus} GPU (`resources`), no worker has one"
    if spec.task.kind == "command":
        return "trials wait: a command needs a worker started with --tasks FOLDER --allow-commands"
    if isinstance(spec.task, FileTask):
        return "trials wait: a study with its own task file needs a worker started with --tasks FOLDER"
    if spec.resources.labels:
        return f"trials wait: the study asks for workers labelled {', '.join(spec.resources.labels)}"
    return "trials wait: the workers have not taken any yet; see `hpsearch worker list`"
