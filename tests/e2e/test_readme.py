"""The README is followed to the letter."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import ROOT, STUDIES, environment, run, start

pytestmark = pytest.mark.e2e
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def code(title: str, language: str, nth: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)[nth]


def test_your_own_model_in_ten_minutes(tmp_path: Path) -> None:
    folder = tmp_path / "my_model"
    shutil.copytree(STUDIES / "my_model", folder, ignore=shutil.ignore_patterns("__pycache__"))
    answer = run(tmp_path / "home", "run", str(folder), "--json")
    assert answer.code == 0, answer.err
    assert answer.document["study"]["state"] == "completed"
    assert answer.document["best"]["value"] > 0.9
    assert "test_accuracy" in answer.document["best"]["metrics"]


def test_the_model_shown_is_the_one_that_ships() -> None:
    shipped = (STUDIES / "my_model" / "task.py").read_text()
    for line in code("Your own model in ten minutes", "python").splitlines():
        head = line.split("...")[0].split(":")[0].strip()
        assert head in shipped


def test_a_script_you_have_already(tmp_path: Path) -> None:
    answer = run(tmp_path / "home", "run", str(STUDIES / "any_command"), "--json")
    assert answer.code == 0, answer.err
    assert answer.document["study"]["state"] == "completed"
    assert answer.document["best"]["value"] < 0.5
    shown = code("A script you have already", "yaml")
    (tmp_path / "study.yaml").write_text(f"name: shown\n{shown}")
    dry = run(tmp_path / "home", "study", "create", str(tmp_path), "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert dry.document["trials"] == 8
    script = (STUDIES / "any_command" / "train.py").read_text()
    for line in code("A script you have already", "python").splitlines():
        assert line.split("(")[0].strip() in script


def without_digits(line: str) -> str:
    return re.sub(r"[\d.]+", "0", line)


def test_what_is_wrong_with_this_run(tmp_path: Path) -> None:
    """Verdict, proof, remedy and curves as shown, whatever digits another processor computes."""
    task, log = (
        shown.splitlines()
        for shown in re.findall(r"```\n(.*?)```", section("What is wrong with this run?"), re.DOTALL)
    )
    (tmp_path / "log.csv").write_text((ROOT / "tests" / "logs" / "keras.csv").read_text())
    for command, *shown in (task, log):
        words = command.removeprefix("$ hpsearch ").split()
        cwd = tmp_path if "log.csv" in words else ROOT
        answer = run(tmp_path / "home", *words, cwd=cwd)
        assert answer.code == 0, answer.err
        printed = [without_digits(line) for line in (answer.out + answer.err).splitlines()]
        for line in shown:
            wanted = without_digits(line.removesuffix("…"))
            assert any(found.startswith(wanted) for found in printed), line


def test_the_study_file_shown_is_a_study(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(code("A study file", "yaml"))
    answer = run(tmp_path / "home", "study", "create", str(tmp_path), "--dry-run", "--json")
    assert answer.code == 0, answer.err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(url, home) of a server and a worker started as the README says, on a free port."""
    home = tmp_path / ".hpsearch"
    server = start(home, "serve", "--port", "0")
    deadline = time.monotonic() + 60
    while not (home / "server.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url = json.loads((home / "server.json").read_text())["url"]
    worker = start(home, "worker", "start", "--server", url)
    yield url, home
    for process in (worker, server):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_the_five_curls_and_the_python_snippet(served: tuple[str, Path], tmp_path: Path) -> None:
    assert shutil.which("curl"), "the README's commands need curl"
    url, home = served
    lines = code("The API in five curls", "sh").splitlines()
    script = "\n".join(line for line in lines if not line.startswith("hpsearch "))
    script = script.replace("http://127.0.0.1:8000", url).replace(
        "curl ", "curl --silent --show-error --fail-with-body "
    )
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environment(home), capture_output=True, text=True, timeout=100, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"name":"grid"' in done.stdout
    assert "event: end" in done.stdout
    with urllib.request.urlopen(f"{url}/healthz") as response:
        assert response.status == 200

    snippet = code("The API in five curls", "python").replace('"studies/', f'"{STUDIES}/')
    answer = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, env=environment(home), capture_output=True, text=True, timeout=100, check=False
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "learning_rate" in answer.stdout


def test_every_command_named_exists(tmp_path: Path) -> None:
    named = set(
        re.findall(
            r"hpsearch ((?:run|serve|doctor|diagnose|worker|study|trial|token|config|db)(?: [a-z]+)?)", README
        )
    )
    for words in sorted(named):
        first, *rest = words.split()
        command = (
            [first, *rest] if first in ("worker", "study", "trial", "token", "config", "db") else [first]
        )
        answer = run(tmp_path, *command, "--help")
        assert answer.code == 0, words


def test_make_targets_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_names_no_leftover(tmp_path: Path) -> None:
    assert "FIGURES" not in README
    assert os.fspath(ROOT) not in README
