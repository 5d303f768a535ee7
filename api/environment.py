"""A server's settings from its arguments and from `HPSEARCH_*`; what is wrong there is named as it was written."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from api.settings import Settings
from hpsearch.errors import InvalidInput, nearest
from hpsearch.sentences import describe

PREFIX = "HPSEARCH_"
# Those of commands, workers and trials, which may be in a server's environment too.
OTHERS = frozenset(
    {
        "SERVER", "TOKEN", "DATA", "SLOTS", "ALLOW_HTTP", "REPORTS", "STOP", "SEED", "REPLICATE", "DEVICE", "DATA_DIR",
        "CHECKPOINT_DIR", "PARAMS", "EPOCHS", "STEPS",
    }
)  # fmt: skip


def read_settings(**told: Any) -> Settings:
    """The settings; arguments win over variables. Raises InvalidInput, which names each that is wrong."""
    try:
        return Settings(**told)
    except ValidationError as error:
        problems = list(describe([_named(item, told) for item in error.errors()], None))
    raise InvalidInput(problems[0].detail, problems=problems)


def idle_variables(environment: Iterable[str]) -> Iterator[str]:
    """A sentence for each name of a variable that looks like a setting and is none."""
    valid = {name.upper() for name in Settings.model_fields} | OTHERS
    for name in sorted(environment):
        plain = name.upper().removeprefix(PREFIX)
        if not name.upper().startswith(PREFIX) or plain in valid or plain.startswith("PARAM_"):
            continue
        near = nearest(plain, valid)
        yield f"{name} is no setting and changes nothing" + (
            f"; did you mean {PREFIX}{near}?" if near else ""
        )


def _named(item: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """pydantic's item with its place as the user knows it."""
    field, *rest = (str(part) for part in item["loc"]) if item["loc"] else ("",)
    name = f"--{field.replace('_', '-')}" if field in told else f"{PREFIX}{field.upper()}"
    return {**item, "loc": (name, *rest) if field else ()}
