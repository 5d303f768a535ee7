"""Which knob makes a model larger: believed by its parameters, never by its name."""

import pytest
from torch import nn

from hpsearch.space import Params
from hpsearch.training import Data, Task
from hpsearch.training.sizing import larger
from hpsearch.vocabulary import Knob


class Sized(Task):
    """`knees` is a width and `hidden_units` a depth."""

    def data(self, params: Params, seed: int) -> Data:
        raise NotImplementedError

    def model(self, params: Params) -> nn.Module:
        width = int(params["knees"])
        hidden = [nn.Linear(width, width) for _ in range(int(params["hidden_units"]))]
        return nn.Sequential(nn.Linear(4, width), *hidden, nn.Linear(width, 2))


def knob(high: int) -> Knob:
    return Knob.parse({"type": "int", "low": 1, "high": high, "default": 2})


VALUES: Params = {"patience": 3, "knees": 2, "hidden_units": 2}


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        (("knees", "hidden_units"), {"knees": 32}),
        (("hidden_units", "knees"), {"hidden_units": 4}),
        (("patience",), {}),
    ],
)
def test_a_width_grows_eightfold_to_32_at_least_and_a_depth_by_two(
    names: tuple[str, ...], changes: Params
) -> None:
    assert larger(Sized(), VALUES, {name: knob(64) for name in names}) == changes


def test_no_knob_leaves_its_range() -> None:
    assert larger(Sized(), VALUES, {"knees": knob(12)}) == {"knees": 12}
