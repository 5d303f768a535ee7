"""The command line called in this process, away from the user's own settings."""

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from hpsearch.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Hpsearch = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SERVER", "TOKEN", "HOME", "DATABASE_URL", "HOST", "PORT", "DATA", "SLOTS"):
        monkeypatch.delenv(f"HPSEARCH_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """`serve` sets up the process's log; its stream ends with the test, and others would write to it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def hpsearch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Hpsearch:
    """`hpsearch("study", "list")` runs that command and answers with code, out and err."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hpsearch", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        written = capfd.readouterr()
        return Answer(code, written.out, written.err)

    return run
