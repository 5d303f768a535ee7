"""Every way out of the program is one sentence and the right exit code."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from hpsearch.cli import main as entry
from hpsearch.errors import HpsearchError, InvalidInput, Problem
from tests.cli.conftest import Hpsearch


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def app(**_: object) -> None:
        raise error

    monkeypatch.setattr(entry, "app", app)


@pytest.mark.parametrize("kind", HpsearchError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_error_is_a_sentence_with_its_exit_code(
    kind: type[HpsearchError], hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, kind("study x is gone", hint="make another"))
    answer = hpsearch()
    assert answer.code == kind.exit_code
    assert answer.err == "Error: study x is gone\nHint:  make another\n"
    assert answer.out == ""


def test_all_problems_are_told(hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [Problem("/a", "s.yaml:1:1: first"), Problem("/b", "s.yaml:2:1: second")]
    fail_with(monkeypatch, InvalidInput("s.yaml:1:1: first", problems=problems))
    assert hpsearch().err == "Error: s.yaml:1:1: first\n       s.yaml:2:1: second\n"


def test_surprise_goes_to_a_file_not_to_the_user(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, RuntimeError("wires crossed\nmore"))
    answer = hpsearch()
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert "unexpected RuntimeError: wires crossed" in answer.err
    log = Path(answer.err.strip().rpartition(" ")[2])
    assert "Traceback" in log.read_text()


def test_ctrl_c_exits_130(hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert hpsearch().code == 130


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["study", "nope"], ["run"], ["run", "x", "--slots", "0"], ["serve", "--port", "70000"]],
)
def test_wrong_usage_exits_2(arguments: list[str], hpsearch: Hpsearch) -> None:
    answer = hpsearch(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_version(hpsearch: Hpsearch) -> None:
    assert hpsearch("--version").out.startswith("hpsearch 0.")


def test_every_command_has_help_of_its_own(hpsearch: Hpsearch) -> None:
    group = typer.main.get_command(entry.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help or command.commands, name
        for inner, sub in getattr(command, "commands", {}).items():
            assert sub.help, f"{name} {inner}"
            assert hpsearch(name, inner, "--help").code == 0


def test_help_names_defaults_that_are_decided_later(
    hpsearch: Hpsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "Address to listen on (default: 127.0.0.1)." in hpsearch("serve", "--help").out
    group = typer.main.get_command(entry.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for words in ([name], *([name, inner] for inner in getattr(command, "commands", {}))):
            said = hpsearch(*words, "--help").out
            assert not re.search(r" \.(\s|$)", said), said  # a bracket was taken for markup


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['hpsearch', '--help']\n"
        "from hpsearch.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'sqlalchemy', 'httpx2', 'fastapi', 'optuna', 'numpy', 'pydantic', 'ruamel.yaml'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    best = float("inf")
    for _ in range(3):  # other tests share the machine: the best of three
        start = time.monotonic()
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        best = min(best, time.monotonic() - start)
    assert "heavy: []" in found.stdout
    assert best <= 0.4


@pytest.mark.parametrize("module", ["hpsearch.client", "hpsearch.worker.daemon"])
def test_client_and_daemon_load_nothing_heavy(module: str) -> None:
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'sqlalchemy', 'fastapi', 'optuna', 'numpy'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "heavy: []\n"


def test_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m hpsearch.cli.main config show --json | head -n 1"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert found.stderr == ""
