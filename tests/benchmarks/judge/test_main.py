"""The whole runner on one real case under one seed."""

import json

import pytest

from benchmarks.judge.__main__ import main

ONE = ["--case", "moons mlp: validation x16", "--only-seed", "0", "--quick", "--jobs", "1"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_case_gives_a_table_and_a_file(capsys, tmp_path):
    main([*ONE, "--verbose", "--json", str(tmp_path / "found.json")])
    shown = capsys.readouterr().out
    assert "1 faulty runs that measurably hurt, of 1 planted" in shown
    assert all(f"{name} rules" in shown for name in ("AutoTrainer", "UMLAUT", "BTTackler", "losslint"))
    [row] = json.loads((tmp_path / "found.json").read_text())
    assert row["counts"]
    assert row["accept"] == ["val_mismatch"]
    assert row["right"] == (row["judgement"]["verdict"] == "val_mismatch")
    assert row["judgement"]["run_steps"] == 375


def test_an_unknown_family_gets_the_nearest_name():
    with pytest.raises(SystemExit, match="did you mean 'early_decay'"):
        main(["--family", "early_decy"])
