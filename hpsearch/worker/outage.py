"""What one thread says of a server that does not answer: once, when it begins and when it is over."""

import logging

log = logging.getLogger(__name__)


class Outage:
    """`meanwhile` and `again` say what the thread does without the server and with it."""

    def __init__(self, meanwhile: str, again: str) -> None:
        self._meanwhile = meanwhile
        self._again = again
        self._told = ""

    def note(self, error: Exception) -> None:
        """Another try has failed: told where it is the first, or fails otherwise than the one before."""
        if str(error) != self._told:
            self._told = str(error)
            log.warning("%s: %s", self._meanwhile, error)

    def over(self) -> None:
        """The server has answered."""
        if self._told:
            self._told = ""
            log.warning("the server answers again, and %s", self._again)
