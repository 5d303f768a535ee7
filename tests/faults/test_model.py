"""T1: any order of calls, replays, losses, outages and clock jumps against a model of what must follow."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from hpsearch.store.engine import Database
from tests.faults.calls import Calls
from tests.faults.conftest import Figure
from tests.faults.sizes import RELEASE, sized

pytestmark = [pytest.mark.timeout(7_200), pytest.mark.usefixtures("silent")]
STEPS = 50
# A long run may be made in several goes: `-k part03` is one of them, and what was shown of others stays in the table.
PARTS = sized(1, 20)
# With each change fewer on Postgres, where a run costs more: the rules are the same code.
RUNS_OF_A_PART = {"sqlite": sized(200, 1_000), "postgresql": sized(100, 1_000)}


@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part{part:02}")
def test_any_order_of_calls_keeps_every_promise(db: Database, part: int, figure: Figure) -> None:
    tally: Counter[str] = Counter()
    machine = type("OneDatabase", (Calls,), {"db": db, "tally": tally})
    if RELEASE:  # the parts differ, and a failure can be had again
        machine = seed(part)(machine)
    runs = RUNS_OF_A_PART[db.dialect]
    how = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)  # type: ignore[no-untyped-call]
    assert tally["runs"] >= runs, "none was left out"
    figure(
        f"T1 model, {db.dialect}",
        f"up to {STEPS} calls a run, every row compared after every call",
        part=f"part{part:02}",
        tally={"runs": runs, "calls": tally["calls"], "leases": tally["leases"]},
    )
