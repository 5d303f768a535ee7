"""`hpsearch token`: who may ask a server."""

from typing import Annotated, Literal

import typer

from hpsearch.cli.options import HomeDir, Json, Secret, Server

app = typer.Typer(help="Create, list and revoke tokens.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[
        Literal["admin", "user", "worker", "viewer"], typer.Option(help="What it allows.")
    ] = "user",
    days: Annotated[
        float | None, typer.Option(min=0.0, help="Days until it expires [default: never].")
    ] = None,
    server: Server = None,
    token: Secret = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Make a token. Its secret is printed once, here, and kept nowhere."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.wire import CreateToken

    seconds = None if days is None else days * 86_400
    with connected(server, token, home) as client:
        created = client.create_token(CreateToken(name=name, scope=scope, expires_in_seconds=seconds))
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
    json: Json = False,
) -> None:
    """End a token at once."""
    from hpsearch.cli import show
    from hpsearch.cli.connect import connected
    from hpsearch.records import TokenId

    with connected(server, token, home) as client:
        client.revoke_token(TokenId(token_id))
    if json:
        show.document({"revoked": token_id})
    else:
        show.note(f"token {token_id} is revoked")
