"""What a server finds in its environment, and what it says of it."""

import pytest

from api.environment import OTHERS, idle_variables, read_settings
from api.settings import Settings
from hpsearch.cli.settings import KEYS
from hpsearch.errors import InvalidInput
from tests.api.test_server import run_server, told_by


def test_a_variable_that_no_setting_has_is_named_with_the_nearest() -> None:
    environment = [
        "HPSEARCH_RETENTION_DAY",
        "HPSEARCH_RETENTION_DAYS",
        "PATH",
        "HPSEARCH_ZZZ",
        "HPSEARCH_log_level",
    ]
    assert list(idle_variables(environment)) == [
        "HPSEARCH_RETENTION_DAY is no setting and changes nothing; did you mean HPSEARCH_RETENTION_DAYS?",
        "HPSEARCH_ZZZ is no setting and changes nothing",
    ]


def test_what_commands_workers_and_trials_are_told_is_known() -> None:
    assert list(idle_variables(f"HPSEARCH_{name.upper()}" for name in (*KEYS, *OTHERS, "PARAM_LR"))) == []


def test_every_wrong_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_RETENTION_DAYS", "abc")
    monkeypatch.setenv("HPSEARCH_LOG_LEVEL", "loud")
    with pytest.raises(InvalidInput) as caught:
        read_settings(port=-1)
    assert [problem.detail.partition(":")[0] for problem in caught.value.problems] == [
        "--port",
        "HPSEARCH_LOG_LEVEL",
        "HPSEARCH_RETENTION_DAYS",
    ]


def test_a_server_warns_of_it_when_it_starts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_RETENTION_DAY", "3")
    _, error = told_by(run_server(settings, "--host", "no-such-host.invalid"))
    assert "did you mean HPSEARCH_RETENTION_DAYS?" in error
