from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.hosts import host_of, own_names
from api.settings import Settings
from hpsearch.home import Home
from tests.api.scenes import API, problem


@pytest.mark.parametrize("host", ["evil", "evil.example:8000", "127.0.0.1.evil.example", "", "10.0.0.1"])
def test_a_foreign_host_name_is_400(http: TestClient, host: str) -> None:
    problem(http.get("/version", headers={"Host": host}), 400, "bad_request")
    problem(http.get(f"{API}/studies", headers={"Host": host}), 400, "bad_request")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_its_own_names_are_answered(http: TestClient, host: str) -> None:
    assert http.get("/version", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("header", "host"),
    [("a:1", "a"), ("A", "a"), ("[::1]:80", "::1"), ("::1", "::1"), ("", ""), (" b ", "b")],
)
def test_the_host_is_found_in_the_header(header: str, host: str) -> None:
    assert host_of(header) == host


def test_a_public_server_knows_the_names_it_was_told(tmp_path: Path) -> None:
    settings = Settings(home=Home(tmp_path), host="0.0.0.0", allowed_hosts="hpsearch, Box.example")  # type: ignore[arg-type]
    assert {"hpsearch", "box.example", "localhost"} <= own_names(settings)


def test_answers_keep_browsers_in_bounds(http: TestClient) -> None:
    headers = http.get(f"{API}/studies", headers={"Origin": "http://evil.example"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert not any(name.startswith("access-control-") for name in headers)


def test_the_home_and_hosts_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HPSEARCH_ALLOWED_HOSTS", "one,two")
    monkeypatch.setenv("HPSEARCH_PORT", "1234")
    settings = Settings()
    assert settings.home.path == tmp_path / "elsewhere"
    assert settings.allowed_hosts == ("one", "two")
    assert settings.port == 1234
    assert settings.database == f"sqlite:///{tmp_path}/elsewhere/hpsearch.db"
