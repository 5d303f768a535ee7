"""Files of studies that were deleted or pruned: all of them go, whatever happens between, and no other file does."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api import sweep as sweeping
from api.app import create_app
from api.checkpoints import drop, drop_older, files_of
from api.resources import Resources
from api.settings import Settings
from api.sweep import sweep
from api.upkeep import tidy
from hpsearch.errors import Unavailable
from hpsearch.home import Home
from hpsearch.records import StudyId
from hpsearch.service import retention, studies
from hpsearch.store import leftovers
from hpsearch.store.engine import Database
from tests.api.scenes import API, grid_spec, post_spec, problem
from tests.api.test_checkpoints import digest, leased, put
from tests.operations.test_retention import kept, play, stored

__all__ = ["leased"]


@pytest.fixture
def held(http: TestClient) -> Resources:
    found: Resources = http.app.state.resources  # type: ignore[attr-defined]
    return found


def folders(settings: Settings) -> list[Path]:
    return list(settings.home.checkpoints.iterdir())


def finish(http: TestClient, worker: int, run: int) -> None:
    headers = {"X-Worker-Id": str(worker)}
    answer = http.post(f"{API}/leases/{run}/complete", json={"seq": 1, "value": 1.0}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("how", ["deleted", "pruned"])
def test_what_a_killed_server_did_not_remove_the_next_one_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The rows are gone and the answer was never given; another study's files stay."""
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        play(http, "ended", points=2)
        other = play(http, "other", points=2)
        if how == "deleted":
            studies.delete(http.app.state.resources.db, "ended")  # type: ignore[attr-defined]
        else:
            with monkeypatch.context() as killed:
                killed.setattr("api.maintenance.sweep", lambda held, only: 0)
                http.post(f"{API}/maintenance:prune", json={"days": 0, "keep_best": 1})
    assert len(stored(settings)) == 8
    for _ in range(2):  # the first one removes them, and ends when it has
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as http:
            http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
            assert kept(http, other) == ([True, True] if how == "deleted" else [False, True])
            left = retention.leftovers(http.app.state.resources.db)  # type: ignore[attr-defined]
    assert left == {}
    assert len(stored(settings)) == 4
    assert len(folders(settings)) == (1 if how == "deleted" else 2)


def test_a_file_that_the_disk_does_not_let_go_keeps_no_other_and_goes_later(
    settings: Settings, http: TestClient, held: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(http, "ended", points=2)
    stubborn = settings.home.checkpoints / files_of(settings.home, StudyId(1))[0]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stubborn:
            raise OSError(1, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        assert http.delete(f"{API}/studies/ended").status_code == 204
        assert stored(settings) == [stubborn]
        tidy(held)
        assert stored(settings) == [stubborn]
    tidy(held)
    assert folders(settings) == []
    assert retention.leftovers(held.db) == {}


def test_a_study_is_deleted_though_its_files_must_wait(
    settings: Settings, http: TestClient, held: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(http, "ended", points=1)

    def away(db: Database) -> None:
        raise Unavailable("the database can't do this now")

    with monkeypatch.context() as broken:
        broken.setattr(retention, "leftovers", away)
        assert http.delete(f"{API}/studies/ended").status_code == 204
    assert http.get(f"{API}/studies/ended").status_code == 404
    tidy(held)
    assert folders(settings) == []


def test_a_study_without_files_leaves_nothing_to_do(http: TestClient, held: Resources) -> None:
    post_spec(http, grid_spec("empty"))
    http.post(f"{API}/studies/empty/cancel")
    assert http.delete(f"{API}/studies/empty").status_code == 204
    assert retention.leftovers(held.db) == {}


def test_only_the_study_that_is_deleted_is_waited_for(
    settings: Settings, http: TestClient, held: Resources
) -> None:
    for name in ("first", "second"):
        play(http, name, points=1)
    studies.delete(held.db, "first")
    assert http.delete(f"{API}/studies/second").status_code == 204
    assert len(stored(settings)) == 2
    assert sweep(held) == 2


# --- what happens between two steps of a sweep -----------------------------------------------------


def noted(held: Resources, study: int = 1) -> None:
    """As a prune whose files could not be removed."""
    with held.db.write() as tx:
        leftovers.note(tx, [StudyId(study)])


def test_a_study_under_way_keeps_what_is_not_registered_yet(
    http: TestClient, held: Resources, leased: tuple[int, int, int], settings: Settings
) -> None:
    worker, run, trial = leased
    noted(held)
    waiting = settings.home.checkpoints / "1" / str(run) / "last-waiting.safetensors"
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(b"received, not registered")
    assert sweep(held) == 0
    put(http, worker, run, b"weights", sha256=digest(b"weights"))
    finish(http, worker, run)
    http.post(f"{API}/studies/a-grid/cancel")
    assert sweep(held) == 1
    assert http.get(f"{API}/trials/{trial}/checkpoints/best").content == b"weights"
    assert retention.leftovers(held.db) == {}


def test_what_is_registered_while_a_sweep_looks_stays(
    http: TestClient, held: Resources, leased: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, run, trial = leased
    noted(held)

    def look_then_upload(home: Home, study: StudyId) -> list[Path]:
        found = files_of(home, study)
        put(http, worker, run, b"weights", sha256=digest(b"weights"))
        finish(http, worker, run)
        return found

    monkeypatch.setattr(sweeping, "files_of", look_then_upload)
    sweep(held)
    assert http.get(f"{API}/trials/{trial}/checkpoints/best").content == b"weights"


def test_a_study_that_is_deleted_while_its_pruned_files_are_removed_is_swept_again(
    http: TestClient, held: Resources, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(http, "ended", points=2)

    def delete_then_drop(home: Home, study: StudyId, lost: Iterable[Path]) -> int:
        studies.delete(held.db, "ended")
        return drop(home, study, lost)

    with monkeypatch.context() as between:
        between.setattr(sweeping, "drop", delete_then_drop)
        http.post(f"{API}/maintenance:prune", json={"days": 0, "keep_best": 1})
    assert len(stored(settings)) == 2
    assert sweep(held) == 2
    assert folders(settings) == []


def test_another_databases_files_are_left_alone(
    http: TestClient, held: Resources, leased: tuple[int, int, int], settings: Settings
) -> None:
    """Its server took over the home while that was empty."""
    worker, run, _ = leased
    settings.home.database_file.write_text("another\n")
    theirs = settings.home.checkpoints / "7" / "1" / "best-theirs.safetensors"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    refused = problem(put(http, worker, run, b"ours", sha256=digest(b"ours")), 409, "conflict")
    assert "another database" in refused["detail"]
    noted(held, 7)
    assert sweep(held) == 0
    assert stored(settings) == [theirs]


# --- older files of one run ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "dropped"),
    [
        ({"a": 3, "b": 2, "c": 1}, {"a"}),  # `c` is what was registered
        ({"a": 3, "c": 1}, set()),
        ({"a": 4, "b": 3, "c": 2, "waiting": 1}, {"a"}),
        ({"a": 4, "c": 2, "waiting": 1, "too": 0}, set()),
    ],
)
def test_of_the_older_files_one_is_left_and_those_that_wait(
    tmp_path: Path, ages: dict[str, int], dropped: Collection[str]
) -> None:
    for name, age in ages.items():
        path = tmp_path / f"last-{name}.safetensors"
        path.write_bytes(b"")
        os.utime(path, (1_000 - age, 1_000 - age))
    (tmp_path / "best-other.safetensors").write_bytes(b"")
    drop_older(tmp_path / "last-c.safetensors", "last")
    left = {path.stem.removeprefix("last-") for path in tmp_path.glob("last-*")}
    assert left == ages.keys() - dropped
    assert (tmp_path / "best-other.safetensors").exists()
