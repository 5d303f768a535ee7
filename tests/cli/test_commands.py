"""Each command against a real server: what it prints, and how it ends when something is wrong."""

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.home import Home, ServerAddress
from tests.cli.conftest import Answer, Hpsearch

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home on which a server runs."""
    path = tmp_path_factory.mktemp("home")
    with background(Settings(home=Home.locate(path), port=0)):
        yield path


@pytest.fixture
def on_home(hpsearch: Hpsearch, home: Path) -> Hpsearch:
    def run(*arguments: object) -> Answer:
        return hpsearch(*arguments, "--home", home)

    return run


def created(on_home: Hpsearch, name: str) -> dict[str, object]:
    answer = on_home("study", "create", STUDIES / "digits_grid", "--name", name, "--json")
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)
    assert isinstance(record, dict)
    return record


def test_create_is_idempotent_and_refuses_another_spec(on_home: Hpsearch, tmp_path: Path) -> None:
    assert created(on_home, "twice")["id"] == created(on_home, "twice")["id"]
    text = (STUDIES / "digits_grid" / "study.yaml").read_text().replace("epochs: 5", "epochs: 6")
    (tmp_path / "study.yaml").write_text(text)
    answer = on_home("study", "create", tmp_path, "--name", "twice")
    assert answer.code == 4
    assert "fixed.epochs" in answer.err
    assert "--name" in answer.err


def test_dry_run_shows_the_exact_points_and_stores_nothing(on_home: Hpsearch) -> None:
    answer = on_home("study", "create", STUDIES / "digits_grid", "--dry-run", "--name", "dry", "--json")
    points = json.loads(answer.out)["points"]
    assert len(points) == 12
    assert {p["learning_rate"] for p in points} == {1e-4, 1e-3, 1e-2, 1e-1}
    assert on_home("study", "show", "dry").code == 3
    assert "learning_rate=0.0001" in on_home("study", "create", STUDIES / "digits_grid", "--dry-run").out


def test_study_is_steered_through_its_states(on_home: Hpsearch) -> None:
    created(on_home, "steered")
    for action, state in (
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
        ("resume", "running"),
    ):
        answer = on_home("study", action, "steered", "--json")
        assert json.loads(answer.out)["state"] == state, action
    assert on_home("study", "cancel", "steered", "--yes").err == "study steered is cancelled\n"
    refused = on_home("study", "resume", "steered")
    assert refused.code == 4
    assert "cancelled" in refused.err


def test_lists_and_shows(on_home: Hpsearch) -> None:
    created(on_home, "shown")
    assert "shown" in on_home("study", "list").out
    assert "shown" in {study["name"] for study in json.loads(on_home("study", "list", "--json").out)}
    assert "trials: 12 waiting; time left unknown: no worker" in on_home("study", "show", "shown").out
    document = json.loads(on_home("study", "show", "shown", "--json").out)
    assert set(document) == {"study", "stages", "best", "eta"}
    assert json.loads(on_home("study", "best", "shown", "--json").out) == []
    trials = json.loads(on_home("study", "trials", "shown", "--json").out)
    assert [trial["number"] for trial in trials] == list(range(12))


def test_export_writes_a_row_per_trial(on_home: Hpsearch, tmp_path: Path) -> None:
    created(on_home, "exported")
    rows = list(csv.DictReader(io.StringIO(on_home("study", "export", "exported").out)))
    assert len(rows) == 12
    assert {"number", "stage", "state", "params", "value", "runs"} <= set(rows[0])
    file = tmp_path / "rows.jsonl"
    assert on_home("study", "export", "exported", "--format", "jsonl", "-o", file).code == 0
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == list(range(12))
    assert on_home("study", "export", "exported", "-o", tmp_path / "no" / "x.csv").code == 1


@pytest.mark.parametrize(("name", "start"), [("x.html", "<!doctype html>"), ("x.md", "# reported")])
def test_report_is_written_in_the_kind_its_name_says(
    name: str, start: str, on_home: Hpsearch, tmp_path: Path
) -> None:
    created(on_home, "reported")
    answer = on_home("study", "report", "reported", "-o", tmp_path / name)
    assert answer.out.strip() == str(tmp_path / name)
    assert (tmp_path / name).read_text().startswith(start)


def test_deleting_asks_first(on_home: Hpsearch) -> None:
    created(on_home, "deleted")
    on_home("study", "cancel", "deleted", "--yes")
    assert on_home("study", "delete", "deleted").code == 1  # no answer on standard input
    assert on_home("study", "delete", "deleted", "--yes").code == 0
    assert on_home("study", "show", "deleted").code == 3


def test_trial_is_shown_stopped_retried_and_cloned(on_home: Hpsearch) -> None:
    created(on_home, "tried")
    trial = json.loads(on_home("study", "trials", "tried", "--json").out)[0]["id"]
    assert "waiting" in on_home("trial", "show", trial).out
    assert json.loads(on_home("trial", "stop", trial, "--json").out)["state"] == "cancelled"
    assert json.loads(on_home("trial", "retry", trial, "--json").out)["state"] == "waiting"
    assert on_home("trial", "clone", trial, "--replicates", 2).err == "study tried-trial-0 is running\n"
    assert len(json.loads(on_home("study", "trials", "tried-trial-0", "--json").out)) == 2
    assert on_home("trial", "clone", trial).code == 4  # of this name with three seeds
    assert on_home("trial", "log", trial).code == 0
    assert json.loads(on_home("trial", "curves", trial, "--json").out) == {}
    assert on_home("trial", "curves", trial, "--metric", "loss").code == 3
    assert on_home("trial", "checkpoint", trial, "-o", "x").code == 3
    assert on_home("trial", "show", 10**9).code == 3


def test_token_is_made_listed_and_revoked(on_home: Hpsearch) -> None:
    made = json.loads(on_home("token", "create", "ci", "--scope", "viewer", "--days", 1, "--json").out)
    listed = on_home("token", "list")
    assert "viewer" in listed.out
    assert made["secret"] not in listed.out
    assert on_home("token", "revoke", made["token"]["id"]).code == 0
    assert "is revoked" in on_home("token", "revoke", made["token"]["id"]).err


def test_token_decides_what_is_allowed(
    on_home: Hpsearch, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    url = json.loads((home / "server.json").read_text())["url"]
    secret = on_home("token", "create", "look", "--scope", "viewer").out.strip()
    refused = on_home("study", "create", STUDIES / "digits_grid", "--server", url, "--token", secret)
    assert refused.code == 1
    assert on_home("study", "list", "--server", url, "--token", secret).code == 0
    wrong = on_home("study", "list", "--server", url, "--token", "hps_wrong")
    assert wrong.code == 1
    assert "token" in wrong.err


def test_unknown_worker_is_not_drained(on_home: Hpsearch) -> None:
    assert on_home("worker", "drain", "nobody").code == 3
    assert json.loads(on_home("worker", "list", "--json").out) == []


class Listener(BaseHTTPRequestHandler):
    """Another's server: remembers what it was sent, and answers 404."""

    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers["Authorization"])
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_home_s_token_does_not_go_to_another_server(on_home: Hpsearch, home: Path) -> None:
    listener = type("Mine", (Listener,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = on_home("study", "list", "--server", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert answer.code != 0
    assert listener.seen
    assert set(listener.seen) == {None}


def test_server_that_is_gone_exits_5(on_home: Hpsearch) -> None:
    answer = on_home("study", "list", "--server", "http://127.0.0.1:9")
    assert answer.code == 5
    assert "no server answers at http://127.0.0.1:9" in answer.err


def test_bad_study_file_is_a_usage_error(on_home: Hpsearch, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("task: {dataset: digits, model: mlp}\nspce: {}\n")
    for command in (["study", "create"], ["run"]):
        answer = on_home(*command, tmp_path / "study.yaml")
        assert answer.code == 2
        assert "study.yaml:2:1: unknown key 'spce'; did you mean 'space'?" in answer.err
        assert on_home(*command, tmp_path / "absent").code == 2


def test_worker_without_a_server_says_so(hpsearch: Hpsearch, tmp_path: Path) -> None:
    answer = hpsearch("worker", "start", "--home", tmp_path / "empty")
    assert answer.code == 5
    assert "hpsearch serve" in answer.err


def test_commands_without_a_server_start_one_for_themselves(hpsearch: Hpsearch, tmp_path: Path) -> None:
    home = tmp_path / "own"
    assert hpsearch("study", "create", STUDIES / "digits_grid", "--home", home).code == 0
    assert "digits-grid" in hpsearch("study", "list", "--home", home).out
    assert not (home / "server.json").exists()  # it ended with the command


def test_why_a_command_s_own_server_did_not_start_is_told_with_what_to_do(
    hpsearch: Hpsearch, tmp_path: Path
) -> None:
    home = Home.locate(tmp_path / "moved").create()
    assert home.claim("another")
    (home.checkpoints / "1").mkdir(parents=True)
    said = " ".join(hpsearch("study", "list", "--home", home.path).err.split())
    assert "keeps the checkpoints of a database that is lost" in said
    assert f"remove {home.checkpoints}" in said


def test_address_of_a_killed_server_is_not_trusted(hpsearch: Hpsearch, tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "stale").create()
    home.write_address(ServerAddress(url="http://127.0.0.1:9", pid=1))
    assert hpsearch("study", "list", "--home", home.path, "--json").out.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--host", "nowhere.invalid"]])
def test_server_that_should_not_start_does_not(
    arguments: list[str], hpsearch: Hpsearch, tmp_path: Path
) -> None:
    answer = hpsearch("serve", *arguments, "--port", 0, "--home", tmp_path / "open")
    assert answer.code == 2
    assert answer.err.startswith("Error: ")


def test_taken_port_and_taken_home_are_told(hpsearch: Hpsearch, home: Path, tmp_path: Path) -> None:
    port = json.loads((home / "server.json").read_text())["url"].rpartition(":")[2]
    taken = hpsearch("serve", "--port", port, "--home", tmp_path / "other")
    assert taken.code == 1
    assert f"port {port}" in taken.err
    # In a process of its own: file locks are a process's.
    command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--port", "0", "--home", str(home)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 4
    assert "another server runs" in second.stderr
