"""`hpsearch doctor`: what is wrong with this machine, and the remedy."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpsearch.cli.options import Data, HomeDir, Json, Secret, Server

if TYPE_CHECKING:
    from hpsearch.cli.checkup import Finding


def doctor(
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Check Python, PyTorch, GPUs, SQLite, disk, home and server; exit 1 where something is broken."""
    from hpsearch.cli import show
    from hpsearch.cli.checkup import examine
    from hpsearch.cli.connect import locate
    from hpsearch.cli.settings import resolve

    chosen = resolve({"server": server, "token": token, "home": home, "data": data})
    place = locate(chosen)
    folder = Path(chosen["data"].text) if chosen["data"].text else place.data
    findings = examine(place, folder, chosen["server"].text, chosen["token"].text)
    if json:
        show.document({"findings": [vars(finding) for finding in findings]})
    else:
        _tell(findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _tell(findings: "list[Finding]") -> None:
    from rich.text import Text

    from hpsearch.cli import show

    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "broken": ("✗", "red")}
    console = show.output()
    for finding in findings:
        text = Text.assemble(marks[finding.state], " ", (finding.name, "bold"), f"  {finding.text}")
        console.print(text, soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"    → {finding.remedy}", style="yellow"), soft_wrap=True)
