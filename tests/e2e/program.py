"""The `hpsearch` command as a user starts it: real processes, output kept apart."""

import json
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "studies"
TIMEOUT_SECONDS = 150
# Not `python -m`: interrupted while it imports something it would die of the signal, where the command exits with 130.
HPSEARCH = Path(sysconfig.get_path("scripts")) / "hpsearch"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A newcomer's environment: no settings but the home and these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HPSEARCH_")}
    return {**kept, **settings, "HPSEARCH_HOME": str(home), "NO_COLOR": "1"}


def start(home: Path, *arguments: str, cwd: Path | None = None, **settings: str) -> "subprocess.Popen[str]":
    """The command in a session of its own, as a terminal would give it."""
    return subprocess.Popen(
        [HPSEARCH, *arguments],
        env=environment(home, **settings),
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(home: Path, *arguments: str, cwd: Path | None = None, **settings: str) -> Answer:
    """The command to its end."""
    process = start(home, *arguments, cwd=cwd, **settings)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return Answer(process.returncode, out, err)
