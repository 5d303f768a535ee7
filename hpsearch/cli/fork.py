"""`hpsearch study fork`: a new study like an old one."""

import json as json_text
from typing import Annotated, Any

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server, StudyName


def fork(
    study: StudyName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new study's name.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change the spec: --set budget.trials=20 (JSON, or text)."
        ),
    ] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Make a new study like this one, under another name."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    patch = patch_of(changes or [])
    with connected(server, token, home) as client:
        made = client.study(study).fork(name, patch).record()
    if json:
        show.document(made)
    else:
        show.note(f"study {made.name} is {made.state}")


def patch_of(changes: list[str]) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}. Raises InvalidInput for what has no `=`."""
    from hpsearch.errors import InvalidInput

    patch: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        names = key.strip().split(".")
        if not equals or not all(names):
            raise InvalidInput(
                f"--set {change!r} must be KEY=VALUE", hint="for example --set budget.trials=20"
            )
        inner = patch
        for part in names[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise InvalidInput(f"--set {change!r}: {part} was set to a value before")
        inner[names[-1]] = _value(text)
    return patch


def _value(text: str) -> Any:
    try:
        return json_text.loads(text)
    except ValueError:
        return text
