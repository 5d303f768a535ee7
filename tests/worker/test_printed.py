import math
import re

import pytest

from hpsearch.worker.printed import MAX_LINE, Readings, number_of


def test_json_lines_give_numbers_and_steps_are_counted_where_absent() -> None:
    readings = Readings()
    first = readings.of_json('{"step": 10, "val_loss": 0.3, "note": "x", "ok": true, "of": {"a": 1}}')
    assert first is not None
    assert (first.step, first.metrics) == (10, {"val_loss": 0.3})
    second = readings.of_json('  {"val_loss": 1}\n')
    assert second is not None
    assert (second.step, second.metrics) == (2, {"val_loss": 1.0})


@pytest.mark.parametrize(
    "line",
    ["", "{", "epoch 1", "[1, 2]", '{"step": 3}', '{"a": "x"}', "{" * 50_000 + "}" * 50_000, '{"b c": 1}'],
)
def test_other_lines_are_no_reports(line: str) -> None:
    assert Readings().of_json(line) is None


@pytest.mark.parametrize("step", ["-1", "1e400", '"x"', "true", "null", str(10**30)])
def test_steps_that_cannot_be_stored_are_counted_instead(step: str) -> None:
    found = Readings().of_json(f'{{"step": {step}, "loss": 1}}')
    assert found is not None
    assert found.step == 1


def test_non_finite_numbers_are_read_as_json_writers_write_them() -> None:
    assert number_of(None) is None
    assert math.isnan(number_of("NaN") or 0.0)
    assert number_of("-Infinity") == -math.inf
    assert number_of(10**400) == math.inf
    assert number_of("1.5e-3") == 0.0015
    assert number_of(True) is None


def test_a_pattern_sees_the_beginning_of_a_line_only() -> None:
    readings = Readings(re.compile(r"epoch (?P<step>\d+).*loss (?P<val_loss>\S+)(?: acc (?P<acc>\S+))?"))
    found = readings.of_pattern("epoch 4 | loss 0.25")
    assert found is not None
    assert (found.step, found.metrics) == (4, {"val_loss": 0.25})
    assert readings.of_pattern("x" * MAX_LINE + "epoch 4 | loss 0.25") is None
