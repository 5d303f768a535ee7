"""How an answer becomes JSON."""

from typing import Any

from fastapi.responses import JSONResponse
from pydantic_core import to_json


class TaggedJSON(JSONResponse):
    """Non-finite numbers leave as the strings "NaN", "Infinity" and "-Infinity", wherever they stand.

    FastAPI's own way loses the records' setting inside unions and `Any`: pydantic reads it from the root of
    what is serialized, and there a field stands around the record.
    """

    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="strings")
