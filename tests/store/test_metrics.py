import math

import hypothesis.strategies as st
from hypothesis import given

from hpsearch.records import Points, Series
from hpsearch.store.metrics import pack, unpack

points = st.lists(
    st.tuples(st.integers(0, 2**62), st.floats(allow_nan=True, allow_infinity=True, width=64)), max_size=20
).map(lambda pairs: Points(steps=tuple(s for s, _ in pairs), values=tuple(v for _, v in pairs)))


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


@given(st.dictionaries(st.text(max_size=10), points, max_size=4))
def test_a_chunk_is_read_back_bit_for_bit(series: Series) -> None:
    found = unpack(pack(series))
    assert list(found) == list(series)
    for name, whole in series.items():
        assert found[name].steps == whole.steps
        assert all(map(same, found[name].values, whole.values))


def test_single_metrics_are_read_without_the_others() -> None:
    series = {name: Points(steps=(1,), values=(float(i),)) for i, name in enumerate("abc")}
    assert unpack(pack(series), ["c", "x"]) == {"c": series["c"]}


def test_a_smooth_curve_is_stored_in_less_than_its_bytes() -> None:
    steps = tuple(range(1000))
    series = {"loss": Points(steps=steps, values=tuple(1 / (1 + s) for s in steps))}
    assert len(pack(series)) < 1000 * 16
