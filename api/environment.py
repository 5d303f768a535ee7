"""A server's settings from its arguments and from `HPSEARCH_*`; what is wrong there is named as it was written."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.settings import Settings
from hpsearch.errors import InvalidInput
from hpsearch.sentences import describe

PREFIX = "HPSEARCH_"


def read_settings(**told: Any) -> Settings:
    """The settings; arguments win over variables. Raises InvalidInput, which names each that is wrong."""
    try:
        return Settings(**told)
    except ValidationError as error:
        problems = list(describe([_named(item, told) for item in error.errors()], None))
    raise InvalidInput(problems[0].detail, problems=problems)


def _named(item: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """pydantic's item with its place as the user knows it."""
    field, *rest = (str(part) for part in item["loc"]) if item["loc"] else ("",)
    name = f"--{field.replace('_', '-')}" if field in told else f"{PREFIX}{field.upper()}"
    return {**item, "loc": (name, *rest) if field else ()}
