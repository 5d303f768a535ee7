"""The answer to a study."""

from hpsearch.records.record import Number, Record, TrialId
from hpsearch.space import Params


class Best(Record):
    """The answer to a study: the winner, how sure it is, and what can't be told apart from it.

    For a recipe that reached `final`, `value` is the mean over fresh seeds and `standard_error` their SE.
    """

    trial_id: TrialId
    number: int
    params: Params
    value: Number
    standard_error: Number | None
    replicates: int
    metrics: dict[str, Number]
    ties: tuple["Tie", ...]


class Tie(Record):
    """A point within the winner's standard error."""

    trial_id: TrialId
    number: int
    params: Params
    value: Number
