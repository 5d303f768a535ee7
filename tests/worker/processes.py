"""Looking at processes by their pids."""

import time

import psutil


def gone(pid: int) -> bool:
    """Neither alive nor more than a zombie that its parent has yet to reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is alive after {seconds} s"
        time.sleep(0.01)


def child_running(module: str) -> int:
    """The pid of this process's one child that runs the module."""
    (pid,) = [child.pid for child in psutil.Process().children() if module in child.cmdline()]
    return pid
