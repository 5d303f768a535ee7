"""`hpsearch serve`: the server."""

from typing import Annotated

import typer

from hpsearch.cli.options import DatabaseUrl, HomeDir, Parent, Passing


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; 0 picks a free one (default: 8000).")
    ] = None,
    home: HomeDir = None,
    database_url: DatabaseUrl = None,
    parent: Parent = None,
    passing: Passing = False,
) -> None:
    """Run a server: it plans studies and hands their trials to workers."""
    import importlib

    from hpsearch.cli.connect import locate
    from hpsearch.cli.settings import resolve
    from hpsearch.worker.lifeline import die_with_parent

    if parent is not None:
        die_with_parent(parent)
    chosen = resolve({"host": host, "port": port, "home": home, "database_url": database_url})
    place = locate(chosen)
    # By name: nothing in hpsearch imports api, so that a child which trains user code never can.
    server = importlib.import_module("api.server")
    environment = importlib.import_module("api.environment")
    server.serve(
        passing=passing,
        ready=lambda address: typer.echo(
            f"listening on {_bound(address.url, chosen['host'].text or '')}, home {place.path}", err=True
        ),
        settings=environment.read_settings(
            host=chosen["host"].text,
            port=chosen["port"].number,
            home=place,
            database_url=chosen["database_url"].text,
        ),
    )


def _bound(url: str, host: str) -> str:
    """The address that is listened on; `url` is how this machine reaches it."""
    return f"{host}:{url.rpartition(':')[2]}" if host not in url else url
