"""A worker on this machine: from the command's options to the daemon."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpsearch.cli import settings
from hpsearch.cli.connect import locate, own_token, running
from hpsearch.cli.processes import wait_for_address
from hpsearch.errors import InvalidInput, ServerUnreachable
from hpsearch.home import Home

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class LocalWorker:
    """What a user says of a worker; None lets the machine decide."""

    name: str | None = None
    slots: int | None = None
    tasks: Path | None = None
    allow_commands: bool = False
    data: Path | None = None
    labels: tuple[str, ...] = ()
    device: Device = "auto"
    threads: int | None = None


def run_worker(
    options: LocalWorker, *, server: str | None, token: str | None, home: Path | None, wait_seconds: float
) -> int:
    """Run the daemon until it is told to stop; its exit code. Raises HpsearchError where it can't start."""
    import logging

    from hpsearch.worker import daemon
    from hpsearch.worker.settings import WorkerSettings

    if options.allow_commands and options.tasks is None:
        raise InvalidInput("--allow-commands needs --tasks DIR: commands run inside that folder only")
    chosen = settings.resolve(
        {"server": server, "token": token, "home": home, "data": options.data, "slots": options.slots}
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    # The client's library tells of every request.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    place = locate(chosen)
    url, secret = _server(chosen, place, wait_seconds)
    place.create()
    data = Path(chosen["data"].text).expanduser() if chosen["data"].text else place.data
    return daemon.run(
        WorkerSettings(
            server=url,
            token=secret,
            home=place.path,
            data_dir=data.absolute(),
            tasks_dir=_folder(options.tasks),
            allow_commands=options.allow_commands,
            name=options.name,
            labels=options.labels,
            device=options.device,
            slots=chosen["slots"].number,
            threads=options.threads,
        )
    )


def _server(chosen: dict[str, settings.Setting], home: Home, wait_seconds: float) -> tuple[str, str | None]:
    """URL and token: of the named server, else of the home's, for which it waits `wait_seconds`."""
    url = chosen["server"].text
    if url is not None:
        return url, chosen["token"].text or own_token(url, home)
    address = wait_for_address(home, wait_seconds) if wait_seconds else running(home)
    if address is None:
        raise ServerUnreachable(
            f"no server runs on the home {home.path}",
            hint="name one with --server URL, or start one with `hpsearch serve`",
        )
    return address.url, home.read_token()


def _folder(tasks: Path | None) -> Path | None:
    if tasks is None:
        return None
    if not tasks.is_dir():
        raise InvalidInput(f"--tasks {tasks} is not a folder")
    return tasks.absolute()
