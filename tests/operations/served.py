"""A server in a thread, asked over real HTTP in the words of the API's scenes."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from hpsearch.home import Home


@contextmanager
def asking(url: str, home: Home) -> Iterator[httpx2.Client]:
    """A client that is the home's admin."""
    headers = {"Authorization": f"Bearer {home.read_token()}"}
    with httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client
