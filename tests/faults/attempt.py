"""What T1's model knows of a run."""

from dataclasses import dataclass, field
from datetime import datetime

from hpsearch.records import Outcome, TokenId, TrialId, WorkerId


@dataclass
class Attempt:
    """`seqs`: acknowledged points by number. `token`: the one that registered the worker."""

    worker: WorkerId
    token: TokenId
    trial: TrialId
    epoch: int
    lease_until: datetime
    active: bool = True
    outcome: Outcome | None = None
    seqs: dict[int, int] = field(default_factory=dict)
