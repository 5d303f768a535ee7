from pathlib import Path

from api.disk import Disk


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
