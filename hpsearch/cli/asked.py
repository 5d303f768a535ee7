"""What a user asks of a server, from a command's options."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from hpsearch.errors import InvalidInput
from hpsearch.records import Record
from hpsearch.sentences import describe

R = TypeVar("R", bound=Record)


def asked(kind: type[R], options: Mapping[str, str], **values: object) -> R:
    """The request. Raises InvalidInput, which names a wrong field as the user knows it: `options[field]`."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        items = [{**item, "loc": tuple(_known(item["loc"], options))} for item in error.errors()]
    problems = list(describe(items, None))
    raise InvalidInput(problems[0].detail, problems=problems)


def _known(location: tuple[int | str, ...], options: Mapping[str, str]) -> list[str]:
    return [options.get(str(part), str(part)) for part in location]
