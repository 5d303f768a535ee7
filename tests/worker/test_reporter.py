import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError, InvalidInput, ServerUnreachable, TooLarge
from hpsearch.records import FailureReason, Outcome, Points, RunId, Series, WorkerId
from hpsearch.wire import LOG_BYTES, MAX_POINTS, ReportRequest, ReportResponse
from hpsearch.worker.backlog import Backlog, point_count
from hpsearch.worker.reporter import Reporter
from tests.worker.fake_server import FakeServer

DONE = Outcome(state="completed", value=1.0)
RUN, OTHER = RunId(1), RunId(2)
MAX_BODY_BYTES = 16 * 2**20  # api.settings'


def curve(start: int, count: int) -> Series:
    steps = tuple(range(start, start + count))
    return {"loss": Points(steps=steps, values=tuple(float(step) for step in steps))}


class Flaky(FakeServer):
    """Takes a report and loses the answer, `answers_lost` times; refuses what `refuse` says."""

    def __init__(self, answers_lost: int = 0, refuse: Callable[[ReportRequest], bool] | None = None) -> None:
        super().__init__()
        self.answers_lost = answers_lost
        self.refuse = refuse or (lambda body: False)
        self.seen: list[ReportRequest] = []

    def report(self, body: ReportRequest, /) -> ReportResponse:
        self.seen.append(body)
        if self.refuse(body):
            raise InvalidInput("too strange")
        response = super().report(body)
        if self.answers_lost > 0:
            self.answers_lost -= 1
            raise ServerUnreachable("the answer was lost")
        return response


Make = Callable[..., Reporter]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Reporter] = []

    def begin(server: FakeServer, *, interval: float = 0.05, lost: list[RunId] | None = None) -> Reporter:
        on_lost = lost.append if lost is not None else lambda run_id: None
        reporter = Reporter(
            server,
            WorkerId(1),
            Backlog(tmp_path / "b"),
            random.Random(0),
            on_lost,
            lambda error: None,
            interval_seconds=interval,
        )
        reporter.open([RUN, OTHER])
        reporter.start()
        made.append(reporter)
        return reporter

    yield begin
    for reporter in made:
        reporter.close()


def test_curves_go_with_the_outcome_where_it_comes_soon(make: Make) -> None:
    server = FakeServer()
    reporter = make(server, interval=60)
    for start in range(0, 50, 10):
        reporter.add(RUN, curve(start, 10))
    reporter.finish(RUN, DONE, "its log")
    server.wait_for_outcomes([RUN], seconds=2)
    (request,) = server.requests
    assert [point_count(report.series) for report in request.reports] == [50]
    assert server.logs[RUN] == "its log"


def test_a_failure_is_in_the_daemons_log_with_its_reason_and_first_line(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = FakeServer()
    reporter = make(server, interval=60)
    message = "ValueError: no such column\n  File task.py, line 7"
    reporter.finish(RUN, Outcome(state="failed", reason=FailureReason.ERROR, message=message))
    reporter.finish(OTHER, DONE)
    server.wait_for_outcomes([RUN, OTHER], seconds=2)
    assert caplog.messages == [f"run {RUN} failed (error): ValueError: no such column"]


def test_outcomes_that_come_together_share_a_request(make: Make) -> None:
    server = FakeServer()
    reporter = make(server)
    reporter.finish(RUN, DONE)
    reporter.finish(OTHER, DONE)
    server.wait_for_outcomes([RUN, OTHER], seconds=2)
    assert len(server.requests) == 1


def test_a_lost_answer_sends_the_same_batch_again_and_counts_once(make: Make) -> None:
    server = Flaky(answers_lost=2)
    reporter = make(server)
    reporter.add(RUN, curve(0, 10))
    server.wait_for(lambda: server.requests)
    reporter.add(RUN, curve(10, 10))
    reporter.finish(RUN, DONE)
    server.wait_for_outcomes([RUN], seconds=10)
    assert server.seen[0] == server.seen[1] == server.seen[2]
    assert [step for step, _ in server.points[RUN]["loss"]] == list(range(20))


def test_a_lease_is_held_until_its_outcome_is_acknowledged(make: Make) -> None:
    server = FakeServer()
    server.away = True
    reporter = make(server)
    reporter.finish(RUN, DONE)
    assert set(reporter.held()) == {RUN, OTHER}
    assert not reporter.flush(0.1)
    server.away = False
    server.wait_for_outcomes([RUN], seconds=10)
    reporter.release_rest()
    assert reporter.flush(10)
    assert server.outcomes[OTHER].state == "released"


def test_requests_hold_no_more_points_than_allowed_and_the_outcome_comes_last(make: Make) -> None:
    server = FakeServer()
    reporter = make(server, interval=60)
    for start in range(0, 3 * MAX_POINTS, 5_000):
        reporter.add(RUN, curve(start, 5_000))
    reporter.add(OTHER, curve(0, 5))
    reporter.finish(RUN, DONE)
    reporter.finish(OTHER, DONE)
    server.wait_for_outcomes([RUN, OTHER], seconds=10)
    assert max(sum(point_count(r.series) for r in q.reports) for q in server.requests) <= MAX_POINTS
    assert len(server.points[RUN]["loss"]) == 3 * MAX_POINTS
    assert len(server.points[OTHER]["loss"]) == 5


def test_a_lost_lease_is_told_once_and_its_rest_dropped(make: Make) -> None:
    server, lost = FakeServer(), []  # type: tuple[FakeServer, list[RunId]]
    server.lost = {RUN}
    reporter = make(server, lost=lost)
    reporter.add(RUN, curve(0, 10))
    reporter.finish(OTHER, DONE)
    deadline = time.monotonic() + 5
    while reporter.held():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    reporter.finish(RUN, DONE)
    assert lost == [RUN]
    assert server.outcomes == {OTHER: DONE}


def test_a_report_that_is_refused_for_good_fails_its_run_and_no_other(make: Make) -> None:
    lost: list[RunId] = []
    server = Flaky(refuse=lambda body: any(r.run_id == RUN and r.series for r in body.reports))
    reporter = make(server, interval=60, lost=lost)
    reporter.add(RUN, curve(0, 10))
    reporter.finish(RUN, DONE)
    reporter.finish(OTHER, DONE)
    refused, good = server.wait_for_outcomes([RUN, OTHER], seconds=5)
    assert (refused.state, refused.reason) == ("failed", FailureReason.ERROR)
    assert "too strange" in refused.message
    assert good == DONE


class Narrow(FakeServer):
    """Takes no more bytes at once than `most`, as the server and proxies before it."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.refused = 0

    def report(self, body: ReportRequest, /) -> ReportResponse:
        if len(body.model_dump_json().encode()) > self.most:
            self.refused += 1
            raise TooLarge(f"the body is larger than {self.most:,} bytes")
        return super().report(body)


def test_the_logs_of_many_runs_go_in_requests_that_a_server_takes(make: Make) -> None:
    server = Narrow(MAX_BODY_BYTES)
    server.away = True
    reporter = make(server)
    runs = [RunId(number) for number in range(1, 65)]
    reporter.open(runs)
    for run in runs:  # a control character is six bytes of JSON: 24 MiB in all
        reporter.finish(run, DONE, "\x1b" * LOG_BYTES)
    server.away = False
    server.wait_for_outcomes(runs, seconds=20)
    assert server.refused == 0
    assert all(len(server.logs[run]) == LOG_BYTES for run in runs)


def test_what_is_too_large_at_once_is_sent_in_parts(make: Make) -> None:
    server, lost = Narrow(150_000), []  # type: tuple[Narrow, list[RunId]]
    server.away = True
    reporter = make(server, lost=lost)
    runs = [RunId(number) for number in range(1, 9)]
    reporter.open(runs)
    for run in runs:
        reporter.finish(run, DONE, "x" * LOG_BYTES)
    server.away = False
    assert server.wait_for_outcomes(runs, seconds=20) == [DONE] * len(runs)
    assert all(len(server.logs[run]) == LOG_BYTES for run in runs)
    assert lost == []


def test_a_report_that_is_too_large_alone_loses_the_older_part_of_its_log(make: Make) -> None:
    server = Narrow(20_000)
    reporter = make(server)
    reporter.add(RUN, curve(0, 10))
    reporter.finish(RUN, DONE, "old" * 20_000 + "the end")
    assert server.wait_for_outcomes([RUN], seconds=5) == [DONE]
    assert len(server.points[RUN]["loss"]) == 10
    assert 10_000 < len(server.logs[RUN]) < 20_000
    assert server.logs[RUN].endswith("the end")


def test_a_run_whose_report_is_too_large_without_a_log_fails_with_the_reason(make: Make) -> None:
    server = Narrow(20_000)
    reporter = make(server)
    reporter.finish(RUN, Outcome(state="completed", metrics={f"m{i}": 0.5 for i in range(5_000)}), "log")
    (failed,) = server.wait_for_outcomes([RUN], seconds=5)
    assert failed.state == "failed"
    assert "larger than 20,000 bytes" in failed.message


def test_other_errors_are_repeated(make: Make) -> None:
    class Broken(FakeServer):
        failures = 2

        def report(self, body: ReportRequest, /) -> ReportResponse:
            self.failures -= 1
            if self.failures >= 0:
                raise HpsearchError("internal error")
            return super().report(body)

    server = Broken()
    reporter = make(server)
    reporter.finish(RUN, DONE)
    server.wait_for_outcomes([RUN], seconds=10)
