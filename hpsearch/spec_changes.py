"""How two specs differ."""

from collections.abc import Iterator
from typing import Any

from hpsearch.spec import StudySpec


def changed_keys(old: StudySpec, new: StudySpec) -> list[str]:
    """Dotted names of what differs, for the 409 that refuses the same name with another spec."""
    return sorted(
        _changed(
            old.model_dump(mode="json", exclude={"description"}),
            new.model_dump(mode="json", exclude={"description"}),
        )
    )


def _changed(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            if old.get(key) != new.get(key):
                yield from _changed(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix
