from pathlib import Path

from hpsearch.records import RunId
from hpsearch.worker.output import MOST_ON_DISK, Output, salvage


def folder(tmp_path: Path, run: int) -> Path:
    made = tmp_path / "runs" / str(run)
    made.mkdir(parents=True)
    return made


def test_a_run_reads_only_its_own_part_and_each_part_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before ")
    output = Output.begin(log, 7, folder(tmp_path, 1))
    assert output.new() == ""
    with log.open("ab") as file:
        file.write("mine é".encode()[:-1])
        file.flush()
        assert output.new() == "mine "
        file.write("é".encode()[1:] + b" next run's")
    assert output.new(until=7 + len("mine é".encode())) == "é"


def test_much_output_at_once_is_cut_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1_000_000 + b"end")
    text = Output.begin(log, 0, folder(tmp_path, 1)).new()
    assert len(text) == 32_768
    assert text.endswith("end")


def test_a_file_that_has_grown_large_is_emptied_once_it_was_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"")
    output = Output.begin(log, 0, folder(tmp_path, 1))
    with log.open("ab") as file:
        for word in (b"first", b"second"):
            file.write(b"x" * MOST_ON_DISK + word)
            file.flush()
            assert output.new().endswith(word.decode())
            assert log.stat().st_size == 0
        file.write(b"and the rest")
        file.flush()
        assert output.new(until=MOST_ON_DISK) == "and the rest"  # said before it was emptied


def test_a_run_begins_with_little_on_the_disk_whatever_those_before_it_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (MOST_ON_DISK + 1) + b"mine")
    output = Output.begin(log, MOST_ON_DISK + 1, folder(tmp_path, 2))
    assert log.stat().st_size == 0
    with log.open("ab") as file:
        file.write(b" too")
    assert output.new() == "mine too"


def test_what_was_printed_since_the_file_was_emptied_is_found_after_the_daemons_death(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"last words")
    Output.begin(log, 1_000, folder(tmp_path, 7))
    assert salvage(tmp_path / "runs")[0].log == "last words"


def test_only_runs_in_progress_are_found_after_the_daemons_death(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"another's; last words")
    Output.begin(log, 11, folder(tmp_path, 7))
    Output.begin(log, 0, folder(tmp_path, 8)).end()
    folder(tmp_path, 9)
    (folder(tmp_path, 10) / "in-progress.json").write_text('{"log": "cut o')
    (found,) = salvage(tmp_path / "runs")
    assert (found.run_id, found.log) == (RunId(7), "last words")
