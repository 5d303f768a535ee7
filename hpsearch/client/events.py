"""A study's events, followed across lost connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import quote

import httpx2

from hpsearch.client.problems import not_hpsearch
from hpsearch.client.transport import PREFIX, Transport
from hpsearch.records import Event

SILENCE_SECONDS = 45.0  # the server sends a sign of life every 15 s
PAUSE_SECONDS = 0.5  # before a stream that broke off is asked for again


def follow(
    transport: Transport, study: str, *, after: int = 0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event]:
    """Each event after the given id, once and in order, until the study is finished.

    A lost connection is taken up again where it ended. Raises ServerUnreachable when the transport's
    patience is over.
    """
    path = f"{PREFIX}/studies/{quote(study, safe='')}/events"
    while True:
        try:
            with ExitStack() as stack:
                for message in _messages(transport, path, after, stack):
                    if message.event == "end":
                        return
                    event = Event.model_validate_json(message.data, extra="ignore")
                    after = event.id
                    yield event
        except _Broken:
            pass
        sleep(PAUSE_SECONDS)


class _Broken(Exception):
    """A stream that stood has ended before its end."""


def _messages(
    transport: Transport, path: str, after: int, stack: ExitStack
) -> Iterator[httpx2.ServerSentEvent]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}

    def connect() -> httpx2.Response:
        stream = transport.stream("GET", path, headers=headers, read_seconds=SILENCE_SECONDS)
        return stack.enter_context(stream)

    response = transport.repeated(connect)
    try:
        yield from httpx2.EventSource(response)
    except httpx2.SSEError as failure:
        raise not_hpsearch(transport.url, str(failure)) from None
    except httpx2.TransportError as failure:
        raise _Broken from failure
