import shutil
from pathlib import Path

import pytest

from hpsearch.errors import Conflict, InvalidInput
from hpsearch.records import RunId
from hpsearch.wire import Interrupted, RegisterWorker
from hpsearch.worker.output import Output
from hpsearch.worker.workplace import default_name, take_workplace


def test_name_is_the_same_at_each_start_and_two_workers_differ(tmp_path: Path) -> None:
    with take_workplace(tmp_path, None) as first, take_workplace(tmp_path, None) as second:
        assert second.name == f"{first.name}-2"
    with take_workplace(tmp_path, None) as again:
        assert again.name == first.name


def test_homes_have_different_names_that_the_server_takes(tmp_path: Path) -> None:
    here, there = default_name("höst.example.org", tmp_path), default_name("höst.example.org", tmp_path / "x")
    assert here != there
    for name in (here, default_name("...", tmp_path), default_name("a" * 300, tmp_path)):
        assert RegisterWorker.model_fields["name"].metadata[0].pattern
        RegisterWorker.model_validate(
            {"name": name, "host": "h", "version": "1", "slots": [{"device": "cpu", "index": 0, "name": "c"}]}
        )


def test_a_name_in_use_is_refused(tmp_path: Path) -> None:
    with (
        take_workplace(tmp_path, "node"),
        pytest.raises(Conflict, match="already runs"),
        take_workplace(tmp_path, "node"),
    ):
        pass


def test_a_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="worker name"), take_workplace(tmp_path, "../elsewhere"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "workers" / "node" / "runs" / "17" / "best.safetensors"
    left.parent.mkdir(parents=True)
    left.touch()
    with take_workplace(tmp_path, "node") as workplace:
        assert list((workplace.folder / "runs").iterdir()) == []


def test_a_daemon_that_died_tells_the_next_which_runs_were_in_progress(tmp_path: Path) -> None:
    with take_workplace(tmp_path, "node") as first:
        assert first.interrupted is None
        run = first.folder / "runs" / "5"
        run.mkdir()
        (first.folder / "log").write_text("last words")
        Output.begin(first.folder / "log", 0, run)
        kept = tmp_path / "kept"
        shutil.copytree(first.folder / "runs", kept)  # what SIGKILL would leave
    with take_workplace(tmp_path, "node") as second:
        assert second.interrupted == ()  # the first one ended in order
    shutil.copytree(kept, tmp_path / "workers" / "node" / "runs", dirs_exist_ok=True)
    with take_workplace(tmp_path, "node") as third:
        assert third.interrupted == (Interrupted(run_id=RunId(5), log="last words"),)
