"""Step 3: which learning rates pass, which one is picked, when the decades are extended."""

import pytest

from hpsearch.recipe.find_lr import passes, pick
from hpsearch.recipe.history import Facts
from hpsearch.records import Budget, Outcome, Program, Trial, TrialPlan
from tests.recipe.world import World, quadratic, spec, trial_of

FACTS = Facts(
    expected_loss=2.3, label_entropy=2.3, classes=10, majority=0.1, steps_per_epoch=17,
    baseline=tuple(2.6 + 0.01 * (i % 5) for i in range(20)),
)  # fmt: skip


def trial(rate: float, last: float, spike: float = 1.0, state: str = "completed") -> Trial:
    plan = TrialPlan(program=Program(kind="train"), params={"learning_rate": rate}, budget=Budget(steps=100))
    losses = [last + 0.001 * (i % 3) for i in range(20)]
    return trial_of(plan, Outcome(state=state, measurements={"last_losses": losses, "loss_spike": spike}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "holds"),
    [(0.5, True), (2.0, True), (2.25, False), (2.55, False), (2.7, False)],
)
def test_a_rate_passes_only_below_chance_and_a_tenth_below_its_start(last: float, holds: bool) -> None:
    assert passes(trial(0.1, last), FACTS) is holds


def test_a_diverged_rate_never_passes() -> None:
    assert not passes(trial(1.0, 0.1, state="diverged"), FACTS)


def test_the_lowest_loss_wins() -> None:
    chosen = pick([trial(1e-1, 1.0), trial(1e-2, 0.4), trial(1e-3, 1.9)], FACTS)
    assert chosen is not None
    assert chosen.params["learning_rate"] == 1e-2


def test_within_a_tie_the_larger_rate_wins_unless_its_loss_spiked() -> None:
    calm = pick([trial(1e-1, 0.45), trial(1e-2, 0.4)], FACTS)
    wild = pick([trial(1e-1, 0.45, spike=3.0), trial(1e-2, 0.4)], FACTS)
    assert calm is not None
    assert wild is not None
    assert (calm.params["learning_rate"], wild.params["learning_rate"]) == (1e-1, 1e-2)


def test_a_winner_at_the_end_is_followed_a_decade_further() -> None:
    world = World(spec(), quadratic(best_rate=1.0)).play()
    rates = {t.params["learning_rate"] for t in world.trials_of(world.stage("find_lr"))}
    assert {1.0, 10.0} <= rates


def test_the_bounds_of_the_space_are_hard() -> None:
    space = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}
    world = World(spec(space=space), quadratic(best_rate=1.0)).play()
    searched = [t for t in world.trials if t.program.kind == "train" and t.program.subset_batches is None]
    assert all(1e-3 <= float(t.params["learning_rate"]) <= 1e-2 for t in searched)
