"""T6: the tests notice when a guard is gone. `benchmarks/sabotage.py` removes all of them; here those whose tests are quick."""

import pytest

from benchmarks.sabotage import GUARDS, Guard, sabotaged
from tests.faults.conftest import Figure
from tests.faults.sizes import RELEASE

SLOW = (
    "study's lock",
    "parent's death",
    "budget",
    "start id",
    "breaker",
    "lock: one server",
    "digest: a damaged upload",
    "one transaction",
)
CHOSEN = [guard for guard in GUARDS if RELEASE or not guard.name.startswith(SLOW)]


@pytest.mark.parametrize("guard", CHOSEN, ids=lambda guard: guard.name)
def test_a_removed_guard_is_noticed(guard: Guard, figure: Figure) -> None:
    assert sabotaged(guard, seed=0)
    figure(test="T6 sabotage", size=f"removed: {guard.name}; caught", violations=0)
