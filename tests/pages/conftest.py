"""A served application and a real Chromium. Without the browser: skipped at home, an error in CI."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.server import background
from api.settings import Settings
from hpsearch.home import Home
from tests.api.conftest import anonymous, app, http, settings
from tests.operations.served import asking

__all__ = ["anonymous", "app", "http", "settings"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser of this session."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: apt-get install chromium")
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - absent where the browser is

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Window:
    """A tab of a logged-in browser that notes what a good page never does."""

    url: str
    tab: Any
    api: httpx2.Client
    home: Home
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.tab.on("dialog", lambda one: (self.complaints.append(f"dialog {one.message}"), one.dismiss()))
        self.tab.on("pageerror", lambda one: self.complaints.append(f"error {one}"))
        self.tab.on("console", self._console)
        self.tab.on("requestfailed", self._failed)

    def open(self, path: str) -> None:
        self.tab.goto(self.url + path)

    def login(self, secret: str | None = None) -> None:
        self.open("/login")
        self.tab.fill("#token", secret or str(self.home.read_token()))
        self.tab.click("button.main")
        self.tab.wait_for_url(self.url + "/")

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, request: Any) -> None:
        if "/events" not in request.url and "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"failed {request.url}: {request.failure}")


@pytest.fixture
def window(chromium: Any, tmp_path: Path) -> Iterator[Window]:
    """Not yet logged in. At the end nothing may have been complained of."""
    served = Settings(home=Home(tmp_path / "home"), port=0)
    with background(served) as address, asking(address.url, served.home) as api:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        made = Window(address.url, context.new_page(), api, served.home)
        made.watch()
        yield made
        context.close()
    assert made.complaints == []
