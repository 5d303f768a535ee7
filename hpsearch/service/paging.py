"""Opaque page tokens: what the next page needs, bound to the list that it belongs to."""

import base64
import json

from hpsearch.errors import InvalidInput
from hpsearch.records import digest_of

MAX_TOKEN = 200
MAX_PAGE = 1_000
MAX_POSITION = 2**53


def token(position: int, *of: str | None) -> str:
    """A token for `position` in the list described by `of` (its filters and order)."""
    raw = json.dumps([position, _fingerprint(of)], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def position(page_token: str | None, *of: str | None) -> int | None:
    """Where the page begins, None for the first. Raises InvalidInput for a token of another list or none."""
    if page_token is None or page_token == "":
        return None
    try:
        padded = page_token[:MAX_TOKEN] + "=" * (-len(page_token) % 4)
        found, fingerprint = json.loads(base64.urlsafe_b64decode(padded))
        if type(found) is int and 0 <= found < MAX_POSITION and fingerprint == _fingerprint(of):
            return found
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidInput(
        "this page token belongs to no page of this list", hint="start again without page_token"
    )


def check_size(page_size: int) -> int:
    """Raises InvalidInput for a size outside 1 to 1,000."""
    if not 1 <= page_size <= MAX_PAGE:
        raise InvalidInput(f"page_size must be 1 to {MAX_PAGE}, not {page_size}")
    return page_size


def _fingerprint(of: tuple[str | None, ...]) -> str:
    return digest_of(list(of))[:8]
