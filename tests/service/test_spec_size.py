"""A spec is bounded by more than the body it came in: it is kept in memory, and sent with every list."""

from typing import Any

import pytest

from hpsearch.errors import InvalidInput, NotFound
from hpsearch.records import StudyState
from hpsearch.service import preview, studies
from hpsearch.spec import StudySpec, parse_spec
from hpsearch.store import studies as rows
from hpsearch.wire import Fork

TOO_LARGE = "is 294 KiB as JSON, 293 of them under space; at most 256 are allowed"


def command_spec(name: str, choices: int, length: int = 10_000) -> StudySpec:
    return parse_spec(
        {
            "name": name,
            "task": {"kind": "command", "argv": ["python", "train.py", "{words}"]},
            "method": "grid",
            "space": {"words": [f"{number:05}".ljust(length, "x") for number in range(choices)]},
            "objective": {"metric": "loss", "direction": "minimize"},
        }
    )


def test_a_spec_that_is_too_large_is_neither_stored_nor_previewed(fleet: Any) -> None:
    spec = command_spec("large", 30)
    for refused in (lambda: fleet.study(spec), lambda: preview.preview(spec)):
        with pytest.raises(InvalidInput, match=TOO_LARGE) as error:
            refused()
        assert [problem.pointer for problem in error.value.problems] == ["/space"]
    with pytest.raises(NotFound):
        studies.get(fleet.db, "large")


def test_nor_is_one_that_a_fork_makes_too_large(fleet: Any) -> None:
    fleet.study(command_spec("small", 2))
    changes = {"space": command_spec("any", 30).model_dump(mode="json")["space"]}
    with pytest.raises(InvalidInput, match=TOO_LARGE):
        studies.fork(fleet.db, "small", Fork(name="large", changes=changes), now=fleet.clock.now)


def test_honest_specs_are_far_from_it(fleet: Any, make: Any) -> None:
    assert fleet.study(command_spec("choices", 1_000, length=200)).state is StudyState.RUNNING
    description = "ж" * 10_000
    fixed = {f"parameter_{number}": "/data/shard-00001.tar" for number in range(1_000)}
    spec = command_spec("values", 2).model_dump(mode="json") | {"description": description, "fixed": fixed}
    assert fleet.study(parse_spec(spec)).state is StudyState.RUNNING


def test_one_that_an_older_version_took_goes_on_and_is_found_again(fleet: Any, make: Any) -> None:
    spec = command_spec("large", 30)
    with fleet.db.write() as tx:
        rows.insert_study(tx, spec, now=fleet.clock.now)
    study, new = studies.create(fleet.db, spec, now=fleet.clock.now)
    assert (study.name, new) == ("large", False)
    with fleet.db.read() as tx:
        row = rows.get(tx, study.id)
    assert row is not None
    assert row.spec == spec
