"""The rule for the time left, on plain numbers."""

import pytest

from hpsearch.eta import (
    ELSEWHERE,
    NO_WORKER,
    OVERDUE,
    PAUSED,
    Busy,
    Done,
    Eta,
    Outlook,
    Work,
    about,
    estimate,
    words,
)

EPOCHS = Work("epochs", 4)
MEASURED = [Done(Work("epochs", 8), 80.0)]  # ten seconds an epoch


def at_work(elapsed: float = 0.0, *, stays: bool = True) -> Busy:
    return Busy((EPOCHS,), elapsed, stays)


def test_nothing_is_told_before_anything_was_measured_or_where_nothing_is_open() -> None:
    assert estimate(Outlook(waiting=[EPOCHS], idle=1)) == Eta()
    assert estimate(Outlook(done=MEASURED, idle=1)) == Eta()
    assert words(Eta()) == ""


def test_what_waits_is_shared_by_the_slots_that_take_it() -> None:
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS] * 6, idle=1)).seconds == 240
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS] * 6, idle=3)).seconds == 80


def test_the_last_trials_are_as_long_as_one_however_many_slots_there_are() -> None:
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS] * 4, idle=3)).seconds == 80
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS], idle=9)).seconds == 40


def test_a_trial_under_way_counts_for_what_is_left_of_it() -> None:
    two = [at_work(10), at_work(30)]
    assert estimate(Outlook(done=MEASURED, busy=two)).seconds == 30
    # 30 s and 10 s from now the slots are free; the three take 40 s each: 10 + 40, 30 + 40, 50 + 40.
    assert estimate(Outlook(done=MEASURED, busy=two, waiting=[EPOCHS] * 3)).seconds == 90


def test_a_slot_that_takes_no_more_ends_what_it_has() -> None:
    leaving = at_work(30, stays=False)
    assert estimate(Outlook(done=MEASURED, busy=[leaving, at_work(0)], waiting=[EPOCHS])).seconds == 80
    assert estimate(Outlook(done=MEASURED, busy=[leaving], waiting=[EPOCHS])).reason == NO_WORKER
    assert estimate(Outlook(done=MEASURED, busy=[leaving])).seconds == 10


def test_trials_that_diverged_early_do_not_make_an_epoch_look_quick() -> None:
    early = [Done(Work("epochs", 0.5), 5.0)] * 9
    assert estimate(Outlook(done=[*MEASURED, *early], waiting=[EPOCHS], idle=1)).seconds == 40


def test_long_and_short_trials_are_told_apart() -> None:
    outlook = Outlook(done=MEASURED, waiting=[Work("epochs", 1), Work("epochs", 30)], idle=1)
    assert estimate(outlook).seconds == 310


def test_what_a_trial_costs_beside_its_steps_counts_by_the_trial() -> None:
    short = [Done(Work("epochs", 1), took=12.0, training=10.0)] * 3
    assert estimate(Outlook(done=short, waiting=[Work("epochs", 1)], idle=1)).seconds == 12
    assert estimate(Outlook(done=short, waiting=[Work("epochs", 9)], idle=1)).seconds == 92
    pack = [Done(Work("epochs", 4), took=48.0, training=40.0, trials=4)] * 2
    assert estimate(Outlook(done=pack, waiting=[Work("epochs", 1)], idle=1)).seconds == 12


def test_the_first_trial_of_all_pays_for_the_start_alone() -> None:
    first, second = (Done(Work("epochs", 4), took=took, training=40.0) for took in (95.0, 41.0))
    assert estimate(Outlook(done=[first], waiting=[EPOCHS], idle=1)).seconds == 40
    assert estimate(Outlook(done=[first, second, second], waiting=[EPOCHS], idle=1)).seconds == 41


def test_one_kind_says_nothing_of_another() -> None:
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS, Work("steps", 100)], idle=1)) == Eta()
    both = [*MEASURED, Done(Work("steps", 50), 5.0)]
    assert estimate(Outlook(done=both, waiting=[EPOCHS, Work("steps", 100)], idle=1)).seconds == 50


def test_those_that_were_not_read_are_like_those_that_were() -> None:
    outlook = Outlook(done=MEASURED, waiting=[EPOCHS] * 10, unread=990, idle=4)
    assert estimate(outlook).seconds == pytest.approx(1000 * 40 / 4, rel=0.01)


def test_who_trains_nothing_is_told_why() -> None:
    waits = Outlook(done=MEASURED, waiting=[EPOCHS])
    assert estimate(waits).reason == NO_WORKER
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS], elsewhere=2)).reason == ELSEWHERE
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS], idle=1, paused=True)).reason == PAUSED
    # Whether anything was measured does not matter for it.
    assert estimate(Outlook(waiting=[EPOCHS])).reason == NO_WORKER
    assert words(Eta(reason=NO_WORKER)) == "time left unknown: no worker"


def test_a_last_trial_that_takes_longer_than_those_before_has_no_end_in_sight() -> None:
    late = estimate(Outlook(done=MEASURED, busy=[at_work(41)]))
    assert (late.seconds, late.reason) == (None, OVERDUE)
    assert estimate(Outlook(done=MEASURED, busy=[at_work(41)], waiting=[EPOCHS])).seconds == 40


def test_a_budget_ends_it_sooner_though_what_is_under_way_finishes() -> None:
    many = [EPOCHS] * 100
    ended = estimate(Outlook(done=MEASURED, busy=[at_work(10)], waiting=many, limit=600))
    assert ended == Eta(seconds=600, whole=True)
    assert estimate(Outlook(done=MEASURED, busy=[at_work(10)], waiting=many, limit=0)).seconds == 30
    assert estimate(Outlook(done=MEASURED, waiting=[EPOCHS], idle=1, limit=600)) == Eta(seconds=40)


def test_of_a_recipe_only_what_is_planned_is_spoken_of() -> None:
    assert (
        words(estimate(Outlook(done=MEASURED, waiting=[EPOCHS] * 6, idle=1, whole=True)))
        == "about 4 min left"
    )
    told = words(estimate(Outlook(done=MEASURED, waiting=[EPOCHS] * 6, idle=1)))
    assert told == "about 4 min for what this stage has planned"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "a few seconds"), (7.9, "a few seconds"), (8, "about 10 s"), (14, "about 10 s"), (52, "about 50 s"),
        (56, "about 1 min"), (89, "about 1 min"), (181, "about 3 min"), (569, "about 9 min"), (571, "about 10 min"),
        (1_000, "about 15 min"), (3_440, "about 55 min"), (3_500, "about 1 h"), (5_000, "about 1.5 h"),
        (35_000, "about 9.5 h"), (40_000, "about 11 h"), (200_000, "about 2 days"),
    ],
)  # fmt: skip
def test_words_are_as_rough_as_what_is_known(seconds: float, said: str) -> None:
    assert about(seconds) == said


def test_longer_never_sounds_shorter() -> None:
    def size(said: str) -> float:
        number, unit = said.removeprefix("about ").split() if said != "a few seconds" else ("5", "s")
        return float(number) * {"s": 1, "min": 60, "h": 3600, "days": 86400}[unit]

    sizes = [size(about(1.01**n)) for n in range(1_400)]
    assert sizes == sorted(sizes)
