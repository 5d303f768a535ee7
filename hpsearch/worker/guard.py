"""A thread of the daemon's: none ends of an error without the daemon's hearing of it."""

import logging
import threading
from collections.abc import Callable

from hpsearch.errors import HpsearchError

log = logging.getLogger(__name__)


def guarded(
    name: str, work: Callable[[], None], on_fatal: Callable[[HpsearchError], None]
) -> threading.Thread:
    """A thread that does `work`, not started yet; `on_fatal` is told of what `work` raises.

    A daemon with a thread less would renew leases of trials that nobody trains or reports.
    """

    def run() -> None:
        try:
            work()
        except HpsearchError as error:
            on_fatal(error)
        except Exception as error:
            log.exception("the thread %s has ended", name)
            on_fatal(HpsearchError(_sentence(name, error), hint="start the worker again"))

    return threading.Thread(target=run, name=name, daemon=True)


def _sentence(name: str, error: Exception) -> str:
    return f"the worker's thread {name} ended with {type(error).__name__}: {error}"
