"""`hpsearch db`: the server's database is brought up to date, examined, saved and kept small."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import DatabaseUrl, HomeDir, Json, Secret, Server

if TYPE_CHECKING:
    from hpsearch.home import Home

app = typer.Typer(help="Upgrade, check, back up and prune a server's database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(home: HomeDir = None, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Bring the schema up to date, as a starting server does."""
    from hpsearch.cli import show
    from hpsearch.cli.dbcheck import require_file
    from hpsearch.service.maintenance import schema_state
    from hpsearch.store.engine import Database

    place, url = _place(home, database_url)
    require_file(place, url)
    if url.startswith("sqlite"):
        _refuse_running(place)
    database = Database.open(url)
    try:
        state = schema_state(database)
    finally:
        database.close()
    if json:
        show.document({"schema": state})
    else:
        show.note(f"the schema is {state}")


@app.command("check")
def check(
    home: HomeDir = None,
    database_url: DatabaseUrl = None,
    quick: Annotated[bool, typer.Option("--quick", help="Look at checkpoints' sizes only.")] = False,
    json: Json = False,
) -> None:
    """Examine schema, database and checkpoint files; exit code 1 where something is wrong."""
    from hpsearch.cli import show
    from hpsearch.cli.dbcheck import examine, require_file

    place, url = _place(home, database_url)
    require_file(place, url)
    found = examine(place, url, quick=quick)
    if json:
        show.document(found)
    else:
        for name, said in found.items():
            typer.echo(f"{name:12} {said}")
    raise typer.Exit(0 if all(said == "ok" for said in found.values()) else 1)


@app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder; it can serve as a home.")],
    home: HomeDir = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Copy database and checkpoints to a new folder, also while the server runs (SQLite); exit code 1 where
    checkpoints are missing or damaged."""
    from hpsearch.cli import show
    from hpsearch.cli.checkpoint_files import Fault, counted
    from hpsearch.cli.dbcheck import require_file
    from hpsearch.cli.dbsave import save
    from hpsearch.errors import HpsearchError, InvalidInput
    from hpsearch.store.engine import sqlite_file

    place, url = _place(home, database_url)
    database = sqlite_file(url)
    if database is None:
        raise InvalidInput(
            "a Postgres database is saved by its own tools",
            hint=f"pg_dump --format=custom --file=hpsearch.dump URL, and a copy of {place.checkpoints}",
        )
    require_file(place, url)
    saved = save(place, database, target)
    if json:
        missing = sum(fault is Fault.MISSING for fault in saved.wrong.values())
        damaged = len(saved.wrong) - missing
        show.document(
            {
                "checkpoints": saved.checkpoints,
                "missing": missing,
                "damaged": damaged,
                "replaced": saved.replaced,
            }
        )
    else:
        without = f", without {saved.replaced} that newer ones replaced meanwhile" if saved.replaced else ""
        show.note(f"{target}: the database and {saved.checkpoints} checkpoints{without}")
    if saved.wrong:
        raise HpsearchError(
            f"the home {place.path} is damaged, and so is its backup: {counted(saved.files, saved.wrong)}",
            hint="keep an older backup that has them; a trial whose checkpoint is lost starts afresh",
        )


@app.command("prune")
def prune(
    days: Annotated[float, typer.Option(min=0, help="Only studies that ended so long ago.")] = 30.0,
    keep_best: Annotated[int, typer.Option(min=1, max=1_000, help="Trials of each that keep all.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be dropped.")] = False,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Drop curves and checkpoints of old studies' other trials; params and results stay."""
    from hpsearch.cli import show
    from hpsearch.cli.asked import asked
    from hpsearch.cli.connect import connected
    from hpsearch.wire import Prune

    rule = asked(Prune, {"days": "--days"}, days=days, keep_best=keep_best, dry_run=dry_run)
    with connected(server, token, home) as client:
        pruned = client.prune(rule)
    if json:
        show.document(pruned)
    else:
        would = "would drop" if dry_run else "dropped"
        noun = "study" if len(pruned.studies) == 1 else "studies"
        show.note(
            f"{would} {pruned.curves} stretches of curves and {pruned.checkpoints} checkpoints of "
            f"{len(pruned.studies)} {noun}"
        )


def _place(home: Path | None, database_url: str | None) -> tuple["Home", str]:
    """(the home, its database's URL), without starting a server."""
    from hpsearch.cli.connect import locate
    from hpsearch.cli.settings import resolve

    chosen = resolve({"home": home, "database_url": database_url})
    place = locate(chosen)
    return place, chosen["database_url"].text or place.database_url


def _refuse_running(home: "Home") -> None:
    """SQLite bears one writing process only. Raises Conflict where the home's server runs."""
    from hpsearch.cli.connect import running
    from hpsearch.errors import Conflict

    address = running(home)
    if address is not None:
        raise Conflict(
            f"the server at {address.url} uses this database", hint="it brought the schema up to date itself"
        )
