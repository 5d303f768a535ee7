"""T1: any order of calls, replays, losses, outages and clock jumps against a model of what must follow."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from hpsearch.store.engine import Database
from tests.faults.calls import Calls
from tests.faults.conftest import Figure
from tests.faults.sizes import sized

pytestmark = [pytest.mark.timeout(7_200), pytest.mark.usefixtures("silent")]
STEPS = 50


def test_any_order_of_calls_keeps_every_promise(db: Database, figure: Figure) -> None:
    tally: Counter[str] = Counter()
    machine = type("OneDatabase", (Calls,), {"db": db, "tally": tally})
    # The rules are the same code; what Postgres adds is its locks and types, at several times the cost of a run.
    examples = sized(200, 20_000) if db.dialect == "sqlite" else sized(100, 2_000)
    how = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)  # type: ignore[no-untyped-call]
    assert tally["runs"] >= examples, "none was left out"
    figure(
        f"T1 model, {db.dialect}",
        f"{examples:,} runs of up to {STEPS} calls, every row compared after every call",
        tally={name: tally[name] for name in ("calls", "leases")},
    )
