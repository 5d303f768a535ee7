"""How a page is answered: with a policy that runs only our own scripts, and errors as pages too."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import ASGIApp, Scope

from api.auth import CHANGE, HEADER_ONLY_PREFIXES, refusal
from api.bodies import StrictRoute
from api.export import tagged
from api.session import csrf_token
from hpsearch import __version__, eta
from hpsearch.errors import HpsearchError, InvalidInput
from hpsearch.study_report import words

TEMPLATES = Path(__file__).with_name("templates")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = __version__
    made.filters["data"] = lambda value: json.dumps(tagged(value))  # an attribute that a script reads
    made.filters["number"] = words.number
    made.filters["error_text"] = words.error_text
    made.filters["value_text"] = words.value_text
    made.filters["params_text"] = words.params_text
    made.filters["about"] = eta.about
    made.filters["time_left"] = eta.words
    return made


ENVIRONMENT = _environment()


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page of its template. `token` is who is logged in, None on the way in."""
    return render(request.scope, template, status, **values)


def render(scope: Scope, template: str, status: int = 200, **values: Any) -> Response:
    state = scope.get("state", {})
    token = state.get("token")
    shared = {
        "token": token,
        "csrf": csrf_token(state["secret"]) if token is not None else "",
        "may_change": token is not None and CHANGE.permits(token),
        "path": scope["path"],
    }
    html = ENVIRONMENT.get_template(template).render(**shared, **values)
    # A name may hold half a character; the page about it must not fail.
    content = html.encode("utf-8", "replace")
    return HTMLResponse(content, status, headers={"Content-Security-Policy": POLICY})


class PageRoute(StrictRoute):
    """Errors are pages for browsers, and problems for the pages' own scripts."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def paged(request: Request) -> Response:
            if not wants_html(request.scope):
                return await handler(request)
            try:
                return await handler(request)
            except HpsearchError as error:
                return page(request, "error.html", error.status, error=error)
            except RequestValidationError as error:
                said = InvalidInput("; ".join(str(item["msg"]) for item in error.errors()[:3]))
                return page(request, "error.html", said.status, error=said)

        return paged


def wants_html(scope: Scope) -> bool:
    """Whether a browser shows the answer."""
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accept and not scope["path"].startswith(HEADER_ONLY_PREFIXES)


def refuse(error: HpsearchError, scope: Scope) -> ASGIApp:
    """Who isn't let in gets the login page in a browser, the problem elsewhere; the status is the same."""
    problem = refusal(error, scope)
    if not (wants_html(scope) and scope["method"] == "GET"):
        return problem
    query = scope["query_string"].decode("latin-1")
    path = scope["path"] + (f"?{query}" if query else "")
    came_with_cookie = any(name == b"cookie" for name, _ in scope["headers"])
    told = error if came_with_cookie or error.status != 401 else None
    answer = render(scope, "login.html", error.status, next=path, error=told)
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
