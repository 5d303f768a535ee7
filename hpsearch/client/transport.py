"""One connection pool to one server: sends, repeats what may be repeated, and speaks the house's errors."""

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
from pydantic import ValidationError

from hpsearch import __version__
from hpsearch.client.problems import error_of, never_arrived, no_answer, not_hpsearch, raise_for_problem
from hpsearch.errors import InvalidInput, ServerUnreachable, Unavailable
from hpsearch.records import Record
from hpsearch.server_url import is_loopback, server_url

PREFIX = "/api/v1"
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version"})
CONNECT_SECONDS = 5.0
FIRST_WAIT_SECONDS = 0.25
MOST_WAIT_SECONDS = 4.0
MAX_ANSWER_BYTES = 128 * 2**20  # a thousand curves are 5 MiB; files are streamed and have their own bound

FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding"})  # of the bytes on the wire

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Transport:
    """Thread-safe. `patience_seconds`: how long a call is repeated that may safely be repeated.

    `allow_http`: speak unencrypted HTTP with other machines too. A server is not trusted with this machine's
    memory: redirects are not followed and an answer is read no further than 128 MiB, unpacked.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout: float,
        patience_seconds: float,
        rng: random.Random,
        allow_http: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked(url, allow_http)
        self._timeout = timeout
        self._patience = patience_seconds
        self._rng = rng
        self._sleep = sleep
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=self._limits(timeout),
            headers={"User-Agent": f"hpsearch/{__version__}", "Accept": "application/json"},
            # Every slot of a daemon may hold a long poll: a full pool would starve the heartbeat.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            # A proxy from the environment has no business between this machine and itself.
            trust_env=not is_loopback(self.url),
            verify=_trusted(self.url),
        )

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        kind: type[R],
        method: str,
        path: str,
        *,
        body: Record | None = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        read_seconds: float | None = None,
    ) -> R:
        """Send a call and read its answer. Raises the HpsearchError that the server or the network gave."""
        response = self.send(
            method, path, body=body, params=params, repeatable=repeatable, read_seconds=read_seconds
        )
        return self.parse(kind.model_validate_json, response)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Record | None = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        read_seconds: float | None = None,
    ) -> httpx2.Response:
        headers = dict(self._credentials(path))
        content = None
        if body is not None:
            content = body.model_dump_json()
            headers["Content-Type"] = "application/json"
        timeout = self._limits(self._timeout if read_seconds is None else read_seconds)

        def once() -> httpx2.Response:
            with (
                self._translated(),
                self._http.stream(
                    method, path, content=content, params=_present(params), headers=headers, timeout=timeout
                ) as answer,
            ):
                response = self._read(answer)
            raise_for_problem(response)
            return response

        return self.repeated(once, repeatable=repeatable)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: Any = None,
        read_seconds: float | None = None,
    ) -> Iterator[httpx2.Response]:
        """An answer read bit by bit, asked for once; failures while it is read are the house's errors too."""
        with (
            self._translated(),
            self._http.stream(
                method,
                path,
                params=_present(params),
                headers={**self._credentials(path), **(headers or {})},
                content=content,
                timeout=self._limits(self._timeout if read_seconds is None else read_seconds),
            ) as response,
        ):
            if not response.is_success:
                raise error_of(self._read(response))
            yield response

    def repeated(self, call: Callable[[], T], *, repeatable: bool = True) -> T:
        """Call until it succeeds, fails for good, or patience ends; waits with full jitter in between."""
        # Not stamina: what it says of each repeat goes, for the whole process, to standard output.
        deadline = time.monotonic() + self._patience
        ceiling = FIRST_WAIT_SECONDS
        while True:
            try:
                return call()
            except (ServerUnreachable, Unavailable) as error:
                safe = repeatable or never_arrived(error.__cause__)
                if not safe or time.monotonic() >= deadline:
                    raise
                asked = error.retry_after_seconds
            # "Exponential Backoff And Jitter" (AWS): uniform below a ceiling that doubles.
            self._sleep(max(asked, self._rng.uniform(0, ceiling)))
            ceiling = min(2 * ceiling, MOST_WAIT_SECONDS)

    def parse(self, read: Callable[..., T], response: httpx2.Response) -> T:
        """`read` is pydantic's. What a newer server says besides is passed over; raises HpsearchError where the answer is
        not what this API gives."""
        try:
            return read(response.content, extra="ignore")
        except ValidationError as error:
            where = f"{response.request.method} {response.request.url.path}"
            raise not_hpsearch(self.url, f"{error.error_count()} surprises in {where}") from None

    def _read(self, answer: httpx2.Response) -> httpx2.Response:
        """The answer with its body. Raises HpsearchError where that is larger than any this API gives."""
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise not_hpsearch(self.url, f"more than {MAX_ANSWER_BYTES:,} bytes in one answer")
        headers = [(name, value) for name, value in answer.headers.items() if name not in FRAMING]
        return httpx2.Response(
            answer.status_code, headers=headers, content=bytes(body), request=answer.request
        )

    def _credentials(self, path: str) -> Mapping[str, str]:
        return {} if path in OPEN_PATHS else self._authorization

    def _limits(self, seconds: float) -> httpx2.Timeout:
        return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx2.RequestError as failure:  # a broken Content-Encoding is no TransportError
            raise no_answer(self.url, failure) from failure


def _present(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _checked(url: str, allow_http: bool) -> str:
    checked = server_url(url)
    if checked.startswith("http://") and not allow_http and not is_loopback(checked):
        raise InvalidInput(
            f"{checked} would send the token over the network unencrypted",
            hint="use https://, or set HPSEARCH_ALLOW_HTTP=1 on a network that you trust",
        )
    return checked


def _trusted(url: str) -> ssl.SSLContext | bool:
    """Whose certificates are believed: the system's, or nobody's where none is ever shown.

    To read the system's takes 50 ms, half of a worker's start.
    """
    plain = url.startswith("http://") and is_loopback(url)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True
