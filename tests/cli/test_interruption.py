"""A Ctrl-C that the interpreter drops is not lost."""

import gc
import signal
import warnings
from collections.abc import Iterator

import pytest

from hpsearch.cli.interruption import Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made = Interruption()
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


class Finalized:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_once(interruption: Interruption, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_dropped_in_a_finalizer_is_raised_at_the_next_look(interruption: Interruption) -> None:
    interruption.check()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Finalized()
        gc.collect()
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
