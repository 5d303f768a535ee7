"""T8: a real client through a proxy that misbehaves; each case must end with every trial recorded once."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.server import background
from api.settings import Settings
from hpsearch.client import Client
from hpsearch.home import Home
from hpsearch.store.engine import Database
from tests.faults import checker
from tests.faults.chaos import grid_of
from tests.faults.checker import Violation
from tests.faults.conftest import Figure
from tests.faults.lone_worker import LoneWorker
from tests.faults.proxy import FAIR, Proxy, Weather
from tests.faults.sizes import sized

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800)]

LEASE = 2.0
TRIALS = 2
BAD_SECONDS = 0.6  # that the weather of a case lasts, longer than the client waits for an answer
AT_ONCE = 16  # random schedules
CASES = {
    "requests vanish": Weather(up=False),
    "answers vanish": Weather(down=False),
    "nothing passes": Weather(up=False, down=False),
    "everything is late": Weather(delay_seconds=0.4),
    "the request is cut in its headers": Weather(reset_up_after=60),
    "the request is cut in its body": Weather(reset_up_after=700),
    "the answer is cut at once": Weather(reset_down_after=0),
    "the answer is cut in the middle": Weather(reset_down_after=150),
}
NextWeather = Callable[[str], tuple[Weather, float]]  # call -> (what comes, how many seconds it stays)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=Home(tmp_path / "home"), port=0, lease_seconds=LEASE, reaper_seconds=0.2, min_free_mib=0
    )


@pytest.fixture
def straight(settings: Settings) -> Iterator[Client]:
    """A client of a running server, with nothing in between."""
    with background(settings) as address, Client(address.url, settings.home.read_token()) as made:
        yield made


@pytest.mark.parametrize("case", CASES)
def test_every_trial_is_recorded_once_whatever_the_network_does(
    settings: Settings, straight: Client, case: str, figure: Figure
) -> None:
    def following(call: str) -> tuple[Weather, float]:
        return (CASES[case], BAD_SECONDS) if call in ("lease", "result") else (FAIR, 0.0)

    broken = play(settings, straight, "study", following)
    figure("T8 network", "cuts one way, lag, resets in headers, body and answer", tally={"cases": 1})
    assert broken == []


def test_every_trial_is_recorded_once_in_any_order_of_bad_weather(
    settings: Settings, straight: Client, figure: Figure
) -> None:
    seeds = sized(8, 200)

    def one(seed: int) -> tuple[int, list[Violation]]:
        return seed, play(settings, straight, f"study-{seed}", schedule(random.Random(seed)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = list(pool.map(one, range(seeds)))
    figure(
        "T8 random networks",
        f"{seeds} seeded schedules of {TRIALS} trials, another weather at each call",
        violations=[violation for _, broken in played for violation in broken],
    )
    assert [(seed, broken) for seed, broken in played if broken] == []


def schedule(rng: random.Random) -> NextWeather:
    """Half of all calls meet fair weather, the others anything for up to half a lease."""

    def following(_: str) -> tuple[Weather, float]:
        if rng.random() < 0.5:
            return FAIR, 0.0
        reset = rng.choice(["up", "down", None])
        weather = Weather(
            up=rng.random() < 0.7,
            down=rng.random() < 0.7,
            delay_seconds=rng.choice([0.0, 0.0, rng.uniform(0, 0.7)]),
            reset_up_after=rng.randrange(1_500) if reset == "up" else None,
            reset_down_after=rng.randrange(1_000) if reset == "down" else None,
        )
        return weather, rng.uniform(0.05, LEASE / 2)

    return following


def play(settings: Settings, straight: Client, study: str, following: NextWeather) -> list[Violation]:
    """One worker trains one study through a proxy of its own, whose weather turns at each of its calls."""
    handle = straight.create_study(grid_of(TRIALS, study))
    proxy = Proxy(int(straight.url.rpartition(":")[2]))
    clearing: list[threading.Timer] = []

    def turn(call: str) -> None:
        for timer in clearing:
            timer.cancel()
        proxy.weather, seconds = following(call)
        clearing[:] = [threading.Timer(seconds, clear_up, (proxy,))]
        clearing[0].start()

    token = settings.home.read_token()
    with Client(f"http://127.0.0.1:{proxy.port}", token, timeout=0.5, patience_seconds=0) as through:
        worker = LoneWorker(through, study, turn)
        while handle.record().state == "running":
            worker.work_one()
    clearing[0].cancel()
    proxy.close()
    return broken_promises(settings, study, worker)


def clear_up(proxy: Proxy) -> None:
    proxy.weather = FAIR


def broken_promises(settings: Settings, study: str, worker: LoneWorker) -> list[Violation]:
    db = Database.open(settings.database, migrate=False)  # beside the server: it only reads
    try:
        return checker.violations(db, study, worker.history, planned=TRIALS)
    finally:
        db.close()
