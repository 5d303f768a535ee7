"""Whatever a file holds, it is read and judged, or refused in one sentence."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch import passive
from hpsearch.errors import InvalidInput
from hpsearch.runlog import read_run_log
from hpsearch.vocabulary import hyperparameters

NAMES = ("step", "epoch", "loss", "train_loss", "val_loss", "val_acc", "lr", "Value", "time", "x", "a - loss")
CELLS = st.one_of(
    st.sampled_from(["", "nan", "inf", "-inf", "x", "1e400", "-1", "0", "True"]),
    st.floats(width=32).map(str),
    st.integers(-5, 10**20).map(str),
)
TABLES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True).flatmap(
    lambda columns: st.lists(st.lists(CELLS, max_size=len(columns) + 1), max_size=12).map(
        lambda rows: "\n".join([",".join(columns), *(",".join(row) for row in rows)])
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)


def read_and_judge(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(content)
        try:
            log = read_run_log(path)
        except InvalidInput as error:
            refusal = error.message
        else:
            refusal = ""
    assert "\n" not in refusal
    if refusal:
        return
    objective = next((name for name in log.curves if name.startswith("val_")), "val_loss")
    verdict = passive.judged(
        passive.Observed(
            curve=log.curves,
            objective=objective,
            direction="minimize",
            values=hyperparameters({}),
            facts=passive.facts_from(log.curves, None, learned=passive.has_learned(log.curves)),
        )
    )
    assert verdict.text


@settings(deadline=None, max_examples=150)
@given(TABLES)
def test_any_table(text: str) -> None:
    read_and_judge(text.encode())


@settings(deadline=None, max_examples=100)
@given(VALUES)
def test_any_json(value: object) -> None:
    read_and_judge(json.dumps(value).encode())


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    read_and_judge(content)
