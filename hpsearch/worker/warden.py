"""Stands between a training child and a command: `python -I warden.py FD PROGRAM ARGUMENT ...`.

It leads the command's process group. FD is a socket: when the other end closes, the child is gone, however it
ended, and the whole group is killed; when the command ends, its exit code is told as a line of text and what
it left running is killed. Standard library only: it is run as a file.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading


def _told(line: socket.socket, words: str) -> None:
    try:
        line.sendall(words.encode(errors="replace"))
    except OSError:
        return  # nobody is left to hear it


def main(descriptor: int, argv: list[str]) -> None:
    # The group's SIGTERM is for the command. A handler, unlike SIG_IGN, does not pass to what it starts.
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.set_inheritable(descriptor, False)
    line = socket.socket(fileno=descriptor)
    try:
        command = subprocess.Popen(argv, stdin=subprocess.DEVNULL)  # noqa: S603
    except (OSError, ValueError) as error:
        _told(line, f"cannot {getattr(error, 'strerror', None) or error}\n")
        return
    # The pipes belong to the command: their end is its end.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    ended = threading.Event()

    def watch() -> None:
        select.select([line], [], [])
        if not ended.is_set():
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    code = command.wait()
    ended.set()
    _told(line, f"exit {code}\n")
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
