"""What the server's process asks of the C library's allocator and of Python's garbage collector."""

import ctypes
import gc
import os

M_ARENA_MAX = -8  # of glibc's malloc.h
# Of 8 for each core. Each thread that met a busy one has its own, which keeps the most that the thread ever held.
ARENAS = 2
# New objects between two looks for cycles. Python's 700 are less than one request makes.
NEW_OBJECTS = 20_000


def share_arenas() -> None:
    """Keep all threads' memory in two arenas: to be called before there are threads.

    They take turns anyway, and with an arena each a crowd of readers leaves the server larger for good. Where the C library is
    not glibc there is nothing to ask; `MALLOC_ARENA_MAX` has its way.
    """
    ask = getattr(ctypes.CDLL(None), "mallopt", None)
    if ask is not None and "MALLOC_ARENA_MAX" not in os.environ:
        ask(M_ARENA_MAX, ARENAS)


def collect_less() -> None:
    """Tell the garbage collector that what the start has made stays, and to look less often at what is new.

    A sixth of the server's time under packs of 16 went into it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 10, 10)
