"""T6: the tests notice when a guard is gone. `benchmarks/sabotage.py` removes all of them; here those whose tests are quick."""

import pytest

from benchmarks.guards import GUARDS, Guard
from benchmarks.sabotage import ROOT, sabotaged
from tests.faults.conftest import Figure
from tests.faults.sizes import RELEASE, sized

SLOW = (
    "parent's death",
    "budget",
    "start id",
    "breaker",
    "lock: one server",
    "digest: a damaged upload",
    "one transaction",
    "too large",
    "slot",
)
CHOSEN = [guard for guard in GUARDS if RELEASE or not guard.name.startswith(SLOW)]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_guard_is_where_it_is_looked_for(guard: Guard) -> None:
    """Those whose tests are slow too: a guard that moved would be missed at the next release only."""
    assert (ROOT / guard.file).read_text().count(guard.old) == 1


@pytest.mark.parametrize("seed", range(sized(1, 3)))
@pytest.mark.parametrize("guard", CHOSEN, ids=lambda guard: guard.name)
def test_a_removed_guard_is_noticed(guard: Guard, seed: int, figure: Figure) -> None:
    assert sabotaged(guard, seed)
    figure("T6 sabotage", "guards removed one by one, under three seeds", tally={"noticed": 1})
