"""`hpsearch study export` and `report`: a study as files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server, StudyName


def export(
    study: StudyName,
    format: Annotated[Literal["csv", "jsonl"], typer.Option(help="Kind of file.")] = "csv",  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File (default: standard output).")
    ] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
) -> None:
    """Write a row per trial: params, value, metrics, state, times."""
    import tempfile

    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        handle = client.study(study)
        if output is not None:
            handle.export(output, format)
            show.note(f"wrote {output}")
            return
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / f"trials.{format}"
            handle.export(rows, format)
            with rows.open(encoding="utf-8") as file:
                for line in file:
                    typer.echo(line, nl=False)


def report(
    study: StudyName,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".html or .md file (default: in the home's reports)."),
    ] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Write a study's report: answer, verdicts, evidence and pictures in one file."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected, locate
    from hpsearch.cli.finish import BEST, write_report
    from hpsearch.cli.settings import resolve

    with connected(server, token, home) as client:
        handle = client.study(study)
        record = handle.record()
        path = output or locate(resolve({"home": home})).reports / f"{record.name}.html"
        write_report(handle, record, handle.stages(), handle.best(BEST), path)
    if json:
        show.document({"report": str(path)})
    else:
        typer.echo(path)
