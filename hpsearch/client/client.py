"""The door to a server."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from hpsearch import studyfile
from hpsearch.client import checkpoints, events
from hpsearch.client.address import plain_allowed, resolve
from hpsearch.client.study import StudyHandle
from hpsearch.client.transport import PREFIX, Transport
from hpsearch.client.trial import TrialHandle
from hpsearch.records import (
    Checkpoint,
    Event,
    RunId,
    Study,
    StudyState,
    Token,
    TokenId,
    Trial,
    TrialId,
    Worker,
    WorkerId,
)
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.wire import (
    CreateToken,
    Health,
    HeartbeatRequest,
    HeartbeatResponse,
    LeaseRequest,
    LeaseResponse,
    Preview,
    Prune,
    Pruned,
    RegisterWorker,
    ReportRequest,
    ReportResponse,
    StudyPage,
    TokenCreated,
    TokenList,
    Version,
    WorkerList,
)

PAGE = 1_000
Spec = StudySpec | Mapping[str, Any] | str | Path


class Client:
    """Typed, synchronous, safe to share between threads.

    `url` and `token` default to `HPSEARCH_SERVER` and `HPSEARCH_TOKEN`, else to this home's own server.
    `timeout`: seconds of silence after which an answer is given up. `patience_seconds`: how long a call that
    is safe to repeat is repeated while the server is away; 0 never repeats. Other machines are asked by
    https, unless `HPSEARCH_ALLOW_HTTP=1`.

    Every method raises ServerUnreachable where no server answers, Unauthorized and Forbidden for the
    token, and otherwise the `hpsearch.errors` class that the server names.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        patience_seconds: float = 10.0,
        rng: random.Random | None = None,
    ) -> None:
        address, secret = resolve(url, token)
        self._timeout = timeout
        self._transport = Transport(
            address,
            secret,
            timeout=timeout,
            patience_seconds=patience_seconds,
            rng=rng or random.Random(),  # noqa: S311 - spreads retries, hides nothing
            allow_http=plain_allowed(address),
        )

    @property
    def url(self) -> str:
        return self._transport.url

    def close(self) -> None:
        """Close the connections. The client can't be used afterwards."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the server ------------------------------------------------------------------------------

    def version(self) -> Version:
        """Asked without the token."""
        return self._transport.ask(Version, "GET", "/version")

    def ready(self) -> Health:
        """Raises Unavailable where the server's database does not answer."""
        return self._transport.ask(Health, "GET", "/readyz")

    # --- studies and trials ----------------------------------------------------------------------

    def create_study(self, spec: Spec) -> StudyHandle:
        """Create a study from its file (or folder) or spec; the same name and spec again is the same study.

        Raises InvalidInput with every problem, StudyExists where the name belongs to another spec.
        """
        study = self._transport.ask(Study, "POST", f"{PREFIX}/studies", body=_parsed(spec))
        return StudyHandle(self._transport, study.name)

    def preview(self, spec: Spec) -> Preview:
        """The exact points and the cost; nothing is stored."""
        return self._transport.ask(Preview, "POST", f"{PREFIX}/studies:preview", body=_parsed(spec))

    def studies(self, state: StudyState | str | None = None) -> list[Study]:
        """All studies, newest first."""
        found: list[Study] = []
        token: str | None = None
        while True:
            params = {"state": None if state is None else str(state), "page_size": PAGE, "page_token": token}
            page = self._transport.ask(StudyPage, "GET", f"{PREFIX}/studies", params=params)
            found += page.studies
            token = page.next_page_token
            if token is None:
                return found

    def study(self, name: str) -> StudyHandle:
        """A handle by name or id; the server is asked when the handle is."""
        return StudyHandle(self._transport, str(name))

    def trial(self, trial_id: TrialId) -> TrialHandle:
        """Raises NotFound where there is no such trial."""
        record = self._transport.ask(Trial, "GET", f"{PREFIX}/trials/{trial_id}")
        return TrialHandle(self._transport, record)

    def events(self, study: str, after: int = 0) -> Iterator[Event]:
        """A study's events after the given id, until it is finished; survives lost connections."""
        return events.follow(self._transport, study, after=after)

    # --- workers and tokens, for people ----------------------------------------------------------

    def workers(self) -> list[Worker]:
        return list(self._transport.ask(WorkerList, "GET", f"{PREFIX}/workers").workers)

    def drain(self, worker: WorkerId) -> Worker:
        """The worker gets no new trials; those under way finish. Idempotent."""
        return self._transport.ask(Worker, "POST", f"{PREFIX}/workers/{worker}/drain")

    def tokens(self) -> list[Token]:
        return list(self._transport.ask(TokenList, "GET", f"{PREFIX}/tokens").tokens)

    def create_token(self, body: CreateToken) -> TokenCreated:
        """The answer is the only place where the secret is ever shown."""
        return self._transport.ask(TokenCreated, "POST", f"{PREFIX}/tokens", body=body, repeatable=False)

    def revoke_token(self, token_id: TokenId) -> Token:
        """Idempotent."""
        return self._transport.ask(Token, "DELETE", f"{PREFIX}/tokens/{token_id}")

    def prune(self, rule: Prune) -> Pruned:
        """Drop what is heavy of studies that ended long ago. Idempotent; an admin's."""
        return self._transport.ask(Pruned, "POST", f"{PREFIX}/maintenance:prune", body=rule)

    # --- for workers -----------------------------------------------------------------------------

    def register_worker(self, body: RegisterWorker) -> Worker:
        return self._transport.ask(Worker, "POST", f"{PREFIX}/workers", body=body)

    def heartbeat(self, worker_id: WorkerId, body: HeartbeatRequest) -> HeartbeatResponse:
        path = f"{PREFIX}/workers/{worker_id}/heartbeat"
        return self._transport.ask(HeartbeatResponse, "POST", path, body=body)

    def lease(self, body: LeaseRequest) -> LeaseResponse:
        """Waits up to `body.wait_seconds` for a trial. A repeat with the same request id is the same lease."""
        read_seconds = body.wait_seconds + self._timeout
        path = f"{PREFIX}/leases"
        return self._transport.ask(LeaseResponse, "POST", path, body=body, read_seconds=read_seconds)

    def report(self, body: ReportRequest) -> ReportResponse:
        """Stored once, however often it is sent."""
        return self._transport.ask(ReportResponse, "POST", f"{PREFIX}/leases:report", body=body)

    def upload_checkpoint(
        self, run_id: RunId, worker_id: WorkerId, name: Literal["best", "last"], step: int, path: Path
    ) -> Checkpoint:
        """Raises LeaseLost where the run's lease is over, TooLarge where the file is above the server's limit."""
        return checkpoints.upload(self._transport, run_id, worker_id, name, step, path)

    def download_checkpoint(self, trial_id: TrialId, name: Literal["best", "last"], path: Path) -> Path:
        """Fetch to `path`, digest compared, whole or not at all."""
        return checkpoints.download(self._transport, trial_id, name, path)


def _parsed(spec: Spec) -> StudySpec:
    if isinstance(spec, StudySpec):
        return spec
    return studyfile.load(Path(spec)) if isinstance(spec, str | Path) else parse_spec(dict(spec))
