"""Curves as a page draws them."""

from hpsearch.records import Number, Record, Series, TrialId
from hpsearch.space import Params


class Curve(Record):
    trial_id: TrialId
    number: int
    state: str
    value: Number | None
    params: Params
    series: Series


class CurveList(Record):
    """`shown` of `total` trials; each curve smoothed, then thinned to at most `points` points."""

    metric: str
    curves: tuple[Curve, ...]
    shown: int
    total: int
