"""T1: any order of calls, replays, losses, outages and clock jumps against a model of what must follow."""

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
    machine = type("OneDatabase", (Calls,), {"db": db})
    examples = sized(200, 5_000) if db.dialect == "sqlite" else sized(100, 500)
    how = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)  # type: ignore[no-untyped-call]
    figure(
        f"T1 model, {db.dialect}",
        f"{examples:,} runs of up to {STEPS} calls, every row compared after every call",
    )
