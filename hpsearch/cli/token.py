"""`hpsearch token`: who may ask a server."""

from typing import Annotated, Literal

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server, Yes

MOST_DAYS = 3_660  # ten years, as the server has it

app = typer.Typer(help="Create, list and revoke tokens.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[
        Literal["admin", "user", "worker", "viewer"], typer.Option(help="What it allows.")
    ] = "user",
    days: Annotated[float | None, typer.Option(help="Days until it expires (default: never).")] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Make a token. Its secret is printed once, here, and kept nowhere."""
    from hpsearch.cli import show
    from hpsearch.cli.asked import asked
    from hpsearch.cli.connect import connected
    from hpsearch.wire import CreateToken

    body = asked(CreateToken, {"name": "NAME"}, name=name, scope=scope, expires_in_seconds=_seconds(days))
    with connected(server, token, home) as client:
        created = client.create_token(body)
    if json:
        show.document(created)
    else:
        typer.echo(created.secret)
        show.note(f"{scope} token {created.token.id}; it won't be shown again")


@app.command("list")
def list_tokens(
    server: Server = None, token: Secret = None, home: HomeDir = None, json: Json = False
) -> None:
    """List tokens, without their secrets."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected

    with connected(server, token, home) as client:
        tokens = client.tokens()
    if json:
        show.document(tokens)
    else:
        show.tokens(tokens)


@app.command("revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", min=1)],
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """End a token at once."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected, locate
    from hpsearch.cli.settings import resolve
    from hpsearch.records import TokenId

    place = locate(resolve({"home": home}))
    with connected(server, token, home) as client:
        own = place.read_token() or ""
        if not yes and any(t.id == token_id and own.startswith(t.prefix) for t in client.tokens()):
            typer.confirm(
                f"Commands on the home {place.path} use this token: the server must be restarted then, which makes "
                "a new one. Revoke it (--yes)?",
                abort=True,
                err=True,
            )
        client.revoke_token(TokenId(token_id))
    if json:
        show.document({"revoked": token_id})
    else:
        show.note(f"token {token_id} is revoked")


def _seconds(days: float | None) -> float | None:
    """Raises InvalidInput for a time that is over at once, or longer than any token is good."""
    from hpsearch.errors import InvalidInput

    if days is not None and not 0 < days <= MOST_DAYS:
        raise InvalidInput(
            f"--days must be above 0 and at most {MOST_DAYS:,}, not {days:g}",
            hint="leave it out for a token that does not expire",
        )
    return None if days is None else days * 86_400
