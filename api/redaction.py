"""Takes secrets out of whatever is about to be written down."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "…"
# A token as `service.tokens` makes them, wherever it stands; its beginning is kept to find its row by.
TOKEN = re.compile(r"(hps_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]{20,}")
PASSWORD = re.compile(r"(://[^\s:/@]*:)[^\s@/]+@")  # of a URL
BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
SECRET_KEYS = re.compile(r"(?i)token|secret|password|authorization|cookie|api_?key|database_url")


def redacted(text: str) -> str:
    """The text without tokens, passwords in URLs, and credentials of an Authorization header."""
    return BEARER.sub(rf"\1 {HIDDEN}", PASSWORD.sub(rf"\1{HIDDEN}@", TOKEN.sub(rf"\1{HIDDEN}", text)))


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor: values under telling names go whole, all other text is searched."""
    return {key: HIDDEN if _is_secret(key, value) else _clean(value) for key, value in event.items()}


def _is_secret(key: str, value: Any) -> bool:
    return isinstance(value, str | bytes) and bool(SECRET_KEYS.search(key))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, bytes):
        return redacted(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN if _is_secret(str(key), child) else _clean(child) for key, child in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(child) for child in value]
    return value if isinstance(value, int | float | bool | None) else redacted(str(value))
