import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.disk import Disk
from api.settings import Settings
from tests.api.scenes import API, grid_spec, lease, post_spec, register


def test_the_ballast_is_given_up_for_a_full_disk_and_made_again_when_there_is_room(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "ballast", ballast_bytes=4_096, least_free=1)
    disk.check()
    assert (tmp_path / "ballast").stat().st_size == 4_096
    disk.give_way()
    assert not (tmp_path / "ballast").exists()
    assert disk.problem == "the server's disk is full"
    disk.check()
    assert (tmp_path / "ballast").exists()
    assert disk.problem == ""


def test_too_little_room_is_a_problem_and_takes_no_ballast(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "ballast", ballast_bytes=4_096, least_free=2**62)
    disk.check()
    assert "MiB are free" in disk.problem
    assert not (tmp_path / "ballast").exists()


def test_a_disk_that_takes_no_file_is_a_problem_until_it_does(tmp_path: Path) -> None:
    ballast = tmp_path / "ballast"
    ballast.symlink_to(tmp_path / "nowhere")  # never opened, as where no inode is left
    disk = Disk(ballast, ballast_bytes=4_096, least_free=1)
    disk.check()
    assert disk.problem == "the server's disk can't be used: Too many levels of symbolic links"
    ballast.unlink()
    disk.check()
    assert ballast.exists()
    assert disk.problem == ""


def test_a_disk_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "gone" / "ballast", ballast_bytes=4_096, least_free=1)
    disk.check()
    assert disk.problem == "the server's disk can't be used: No such file or directory"


def test_a_full_disk_is_a_problem_where_its_ballast_can_not_be_removed_too(tmp_path: Path) -> None:
    (tmp_path / "ballast").mkdir()
    disk = Disk(tmp_path / "ballast", ballast_bytes=4_096, least_free=1)
    disk.give_way()
    assert disk.problem == "the server's disk is full"


@pytest.mark.timeout(30)
def test_leases_are_reaped_whatever_the_disk_says(settings: Settings) -> None:
    quick = settings.model_copy(update={"lease_seconds": 1.0, "reaper_seconds": 0.05})
    with TestClient(create_app(quick), base_url="http://127.0.0.1") as http:
        http.headers["Authorization"] = f"Bearer {settings.home.read_token()}"
        post_spec(http, grid_spec(points=1))
        (held,) = lease(http, register(http, "dies")).leases
        link = settings.home.path / "link"
        link.symlink_to(settings.home.path / "nowhere")
        link.replace(settings.home.ballast)  # at once, between two looks at the disk
        while http.get(f"{API}/trials/{held.trial_id}").json()["state"] != "waiting":
            time.sleep(0.05)
        assert "can't be used" in http.get("/readyz").json()["checks"]["disk"]
