"""A refusal."""

from hpsearch.records import Record


class ProblemItem(Record):
    pointer: str
    detail: str


class ProblemDetails(Record):
    """RFC 9457 problem; `code` is stable, `errors` points into the request, `hint` says what next."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[ProblemItem, ...] = ()
    hint: str | None = None
    request_id: str = ""
