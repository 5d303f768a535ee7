from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from hpsearch.errors import InvalidInput
from hpsearch.home import Home
from tests.api.test_server import run_server, told_by


def settings_of(tmp_path: Path, **changes: Any) -> Settings:
    return Settings(home=Home(tmp_path / "home"), port=0, **changes)


@pytest.mark.parametrize(("lease", "reaper"), [(3.0, 2.0), (7.9, 2.0), (30.0, 8.0), (2_000.0, 600.0)])
def test_a_lease_that_the_reapers_pauses_would_renew_for_ever_is_refused(
    tmp_path: Path, lease: float, reaper: float
) -> None:
    with pytest.raises(InvalidInput, match=f"HPSEARCH_LEASE_SECONDS is {lease:g}, less than four times"):
        settings_of(tmp_path, lease_seconds=lease, reaper_seconds=reaper)


@pytest.mark.parametrize(("lease", "reaper"), [(30.0, 2.0), (8.0, 2.0), (3.0, 0.75), (3_600.0, 600.0)])
def test_a_lease_of_four_ticks_and_more_is_taken(tmp_path: Path, lease: float, reaper: float) -> None:
    made = settings_of(tmp_path, lease_seconds=lease, reaper_seconds=reaper)
    assert (made.lease_seconds, made.reaper_seconds) == (lease, reaper)


def test_a_server_told_such_a_lease_says_so_in_one_sentence_and_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    monkeypatch.setenv("HPSEARCH_LEASE_SECONDS", "3")
    process = run_server(settings)
    output, error = told_by(process)
    said = " ".join(error.split())
    assert process.returncode == 2
    assert output == ""
    assert "HPSEARCH_LEASE_SECONDS is 3, less than four times HPSEARCH_REAPER_SECONDS, 2" in said
    assert "set HPSEARCH_LEASE_SECONDS to 8 or more, or HPSEARCH_REAPER_SECONDS to 0.75 or less" in said
    assert "Traceback" not in error
