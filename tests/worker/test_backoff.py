import random

from hpsearch.errors import Unavailable
from hpsearch.worker.backoff import Backoff


def test_pauses_are_drawn_below_a_ceiling_that_doubles_and_stay_well_under_a_lease() -> None:
    drawn = [Backoff(random.Random(seed)) for seed in range(200)]
    for ceiling in (0.5, 1, 2, 4, 8, 10, 10):
        pauses = [one.next_seconds() for one in drawn]
        assert 0.8 * ceiling < max(pauses) <= ceiling
        assert min(pauses) < 0.1 * ceiling


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    error = Unavailable("busy")
    error.retry_after_seconds = 7
    assert 7 <= Backoff(random.Random(0)).next_seconds(error) <= 7.5
