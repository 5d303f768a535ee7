"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Talk to this server instead of the home's own."),
]
HomeDir = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Home directory (default: $HPSEARCH_HOME or .hpsearch)."),
]
Secret = Annotated[
    str | None,
    typer.Option("--token", metavar="SECRET", help="Token for --server; better given as HPSEARCH_TOKEN."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or id.")]
TrialNumber = Annotated[int, typer.Argument(metavar="TRIAL", help="A trial's id.", min=1)]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", metavar="URL", help="postgresql+psycopg://... (default: SQLite in the home)."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where data sets are kept (default: data in the home)."),
]
Slots = Annotated[
    int | None,
    typer.Option("--slots", min=1, max=256, help="Trials at a time (default: one per GPU, else per core)."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Parent = Annotated[int | None, typer.Option("--parent", hidden=True)]
Passing = Annotated[bool, typer.Option("--passing", hidden=True)]
