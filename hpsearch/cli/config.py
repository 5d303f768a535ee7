"""`hpsearch config`: each setting and where it comes from."""

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server

app = typer.Typer(help="Show settings.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


@app.command("show")
def show_settings(
    server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """Each value and where it comes from: flag, HPSEARCH_* variable, hpsearch.toml, the user's file, default."""
    from rich.text import Text

    from hpsearch.cli import show
    from hpsearch.cli.settings import KEYS, resolve

    chosen = resolve({"server": server, "token": token, "home": home})
    if json:
        show.document({name: {"value": s.shown, "source": s.source} for name, s in chosen.items()})
        return
    rows = show.table("setting", "value", "from", "what it is")
    for name, setting in chosen.items():
        value = "–" if setting.shown is None else str(setting.shown)
        rows.add_row(name, Text(value), Text(setting.source), KEYS[name].help)
    show.output().print(rows)
