"""A server as a user starts it, and the leanest client that speaks to it: both share the machine's cores."""

import json
import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from hpsearch.home import Home

API = "/api/v1"


class Caller:
    """One kept-alive connection that sends JSON: as little client as can be, it shares the server's cores."""

    def __init__(self, url: str, token: str) -> None:
        self._http = HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        self._http.request(method, API + path, content, self._headers)
        answer = self._http.getresponse()
        raw = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {raw[:300]!r}")
        return json.loads(raw)


class Server:
    """`hpsearch serve` in a process of its own."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self._home = Home(folder / "home")
        self._url = database_url
        self.start()

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = getattr(self, "_port", free.getsockname()[1])
        self._port = port
        command = [sys.executable, "-m", "hpsearch.cli.main", "serve", "--home", str(self._home.path)]
        extra = [] if self._url is None else ["--database-url", self._url]
        self._process = subprocess.Popen(
            [*command, "--port", str(port), *extra],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1", "HPSEARCH_LOG_LEVEL": "warning"},
        )
        self.address = f"http://127.0.0.1:{port}"
        while not self._ready():
            time.sleep(0.02)

    def _ready(self) -> bool:
        try:
            connection = HTTPConnection(urlsplit(self.address).netloc, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def caller(self) -> Caller:
        token = self._home.read_token()
        assert token is not None
        return Caller(self.address, token)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def cpu_seconds(self) -> float:
        """Processor time so far: what other programs on the machine do not change much."""
        spent = psutil.Process(self._process.pid).cpu_times()
        return float(spent.user + spent.system)
