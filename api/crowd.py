"""How many connections there may be: file descriptors are left for the database, checkpoints and logs."""

import resource
from collections.abc import Collection

from api.slow_headers import Connection

KEPT = 64  # descriptors for the rest; a server at work holds some thirty
MOST = 16_384


def take_descriptors() -> None:
    """Let this process open as many files as it is allowed to, up to `MOST`: a shell gives it 1,024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)
    return max(limit - KEPT, limit // 2)


def make_room(connections: Collection[Connection]) -> int:
    """Where there are as many as may be, hang up on those between two requests. How many those were.

    Who waits for an answer keeps it; a client whose idle connection is gone makes a new one.
    """
    if len(connections) < most_connections():
        return 0
    idle = [one for one in connections if one.timeout_keep_alive_task is not None]
    for one in idle:
        one.transport.close()
    return len(idle)
