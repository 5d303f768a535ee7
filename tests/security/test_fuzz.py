"""What schemathesis can think of: `make fuzz` does ten times as much."""

from pathlib import Path

import pytest

from tests.fuzz import fuzz


@pytest.mark.timeout(600)
def test_two_thousand_cases_without_a_5xx_or_a_broken_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = fuzz(tmp_path, cases=2_000, seed=0, database_url=None)
    said = capsys.readouterr().out
    assert code == 0, said
    assert ", 0 answered with 5xx" in said
