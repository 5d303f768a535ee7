"""How an answer becomes JSON."""

from typing import Any

from fastapi.responses import JSONResponse, Response
from pydantic_core import to_json

from hpsearch.records import Record


class TaggedJSON(JSONResponse):
    """Non-finite numbers leave as the strings "NaN", "Infinity" and "-Infinity", wherever they stand.

    FastAPI's own way loses the records' setting inside unions and `Any`: pydantic reads it from the root of
    what is serialized, and there a field stands around the record.
    """

    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="strings")


def answer(record: Record) -> Response:
    """A record as it is, for the routes that are asked most and those with the largest answers.

    What a route returns FastAPI validates again, in a thread of its own, before it is written: for a record,
    which was checked when it was made, that costs more than the writing. `response_model` names it to the schema.
    """
    return TaggedJSON(record)
