"""A browser's login: its token in a cookie that no script reads and no other site sends.

The cookie holds the token itself, so that revoking the token ends the session too, on every server, and a copy of
the database opens nothing. It counts on the pages only; the REST API takes the header alone.
"""

import hashlib
import hmac
from urllib.parse import parse_qs

from fastapi import Request, Response

from hpsearch.errors import Forbidden, InvalidInput

COOKIE = "hpsearch_token"
SECONDS = 12 * 3600
MAX_FORM_BYTES = 10_000
MAX_FIELDS = 20
FIELD = "csrf"


def open_session(response: Response, secret: str, *, secure: bool) -> None:
    """Log the browser in for twelve hours. `secure`: it came by https, and must go on so."""
    response.set_cookie(
        COOKIE, secret, max_age=SECONDS, path="/", secure=secure, httponly=True, samesite="strict"
    )


def close_session(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def csrf_token(secret: str) -> str:
    """What each form carries: only a page that this server wrote for this session can know it."""
    return hmac.new(secret.encode(), b"hpsearch csrf", hashlib.sha256).hexdigest()


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form. Raises InvalidInput for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidInput("this takes a form, as the pages send it")
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        raise InvalidInput(f"the form is larger than {MAX_FORM_BYTES:,} bytes")
    try:
        fields = parse_qs(body.decode(), strict_parsing=bool(body), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidInput("the form can't be read") from None
    return {name: values[-1] for name, values in fields.items()}


async def checked_form(request: Request) -> dict[str, str]:
    """The same of a logged-in browser. Raises Forbidden where the form was not this session's."""
    fields = await read_form(request)
    expected = csrf_token(request.state.secret)
    if not hmac.compare_digest(fields.pop(FIELD, "").encode(), expected.encode()):
        raise Forbidden("this form is not of your session", hint="reload the page and try again")
    return fields
