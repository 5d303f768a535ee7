import logging

import pytest

from hpsearch.errors import ServerUnreachable
from hpsearch.worker.outage import Outage


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage("reports wait", "reports go on")
    outage.over()
    for reason in ("no answer", "no answer", "refused", "refused"):
        outage.note(ServerUnreachable(reason))
    outage.over()
    outage.over()
    assert caplog.messages == [
        "reports wait: no answer",
        "reports wait: refused",
        "the server answers again, and reports go on",
    ]
