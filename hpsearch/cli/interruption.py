"""Ctrl-C and SIGTERM end a run in order, whenever they come."""

import signal
from types import FrameType


class Interruption:
    """Raises KeyboardInterrupt where the signal finds the program, and remembers it for `check`.

    Raised inside a finalizer or a garbage collection the exception is dropped by the interpreter: seen as a
    run that ended normally although it was told to stop.
    """

    def __init__(self) -> None:
        self._asked = False

    def listen(self) -> None:
        """Take over SIGINT and SIGTERM. Call it in the main thread."""
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def check(self) -> None:
        """Raise KeyboardInterrupt where a signal has come whose exception was dropped."""
        if self._asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        raise KeyboardInterrupt
