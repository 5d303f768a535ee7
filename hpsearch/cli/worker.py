"""`hpsearch worker`: the daemon that trains trials, and the list of all of them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hpsearch.cli.options import Data, HomeDir, Json, Parent, Secret, Server, Slots

app = typer.Typer(help="Start, list and drain workers.", no_args_is_help=True)


@app.command("start")
def start(
    server: Server = None,
    token: Secret = None,
    name: Annotated[
        str | None, typer.Option(help="Stable name: a restarted worker takes its place again.")
    ] = None,
    slots: Slots = None,
    tasks: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run task files of this folder, and of no other.")
    ] = None,
    allow_commands: Annotated[
        bool, typer.Option("--allow-commands", help="Run the commands that studies name, inside --tasks.")
    ] = False,
    data: Data = None,
    label: Annotated[
        list[str] | None, typer.Option(help="What this node has, for studies that need it; may be repeated.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="What it trains on.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a slot (default: 1).")] = None,
    home: HomeDir = None,
    wait: Annotated[float, typer.Option(hidden=True)] = 0.0,
    parent: Parent = None,
) -> None:
    """Train trials on this machine until told to stop (Ctrl-C or SIGTERM hands trials back unharmed)."""
    from hpsearch.cli.launch import LocalWorker, run_worker
    from hpsearch.worker.lifeline import die_with_parent

    if parent is not None:
        die_with_parent(parent)
    options = LocalWorker(
        name=name,
        slots=slots,
        tasks=tasks,
        allow_commands=allow_commands,
        data=data,
        labels=tuple(label or ()),
        device=device,
        threads=threads,
    )
    code = run_worker(options, server=server, token=token, home=home, wait_seconds=wait)
    raise typer.Exit(code)


@app.command("list")
def list_workers(
    server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """List workers: state, slots, what they run and when they were last heard of."""
    from datetime import UTC, datetime

    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        workers = client.workers()
    if json:
        show.document(workers)
    else:
        show.workers(workers, now=datetime.now(UTC))


@app.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="A worker's name or id.")],
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Let a worker finish what it trains and take nothing new."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.errors import NotFound, unknown

    with connected(server, token, home) as client:
        known = client.workers()
        found = next((w for w in known if worker in (w.name, str(w.id))), None)
        if found is None:
            raise NotFound(unknown("worker", worker, [w.name for w in known] or ["(none)"]))
        drained = client.drain(found.id)
    if json:
        show.document(drained)
    else:
        show.note(f"worker {found.name} takes nothing new")
