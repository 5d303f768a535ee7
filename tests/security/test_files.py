"""S13, S14 and S26: names of files, what is opened in a browser, and ranges."""

import http.client
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.checkpoints import open_stored
from api.ranges import asked_range
from api.server import background
from api.settings import Settings
from hpsearch.errors import HpsearchError, NotFound
from tests.api.scenes import API, grid_spec, lease, post_spec, problem, register
from tests.api.test_checkpoints import CONTENT, digest, files, put

NAMES = ["../../token", "..%2f..%2ftoken", "..%5c..%5ctoken", "%2e%2e%2ftoken", "%252e%252e%252ftoken", ";/../token",
         "/etc/passwd", "%2fetc%2fpasswd", "best%00.txt", "CON", "best.", "best ", "x" * 300]  # fmt: skip


def test_s13_a_name_in_the_path_never_reaches_the_disk(settings: Settings) -> None:
    with background(settings) as address:
        host = address.url.removeprefix("http://")
        token = {
            "Authorization": f"Bearer {settings.home.read_token()}",
            "X-Worker-Id": "1",
            "X-Content-SHA256": digest(b"x"),
        }
        for name in NAMES:
            # http.client sends a path as it is; friendlier clients would tidy it up.
            for method, path in (
                ("GET", f"/trials/1/checkpoints/{name}"),
                ("PUT", f"/leases/1/checkpoints/{name}?step=1"),
            ):
                connection = http.client.HTTPConnection(host, timeout=10)
                connection.request(
                    method,
                    API + path.replace(" ", "%20"),
                    headers=token,
                    body=b"x" if method == "PUT" else None,
                )
                answer = connection.getresponse()
                said = answer.read()
                connection.close()
                assert answer.status in (404, 405, 409, 422), (method, name, answer.status)
                assert str(settings.home.read_token()).encode() not in said
        assert files(settings) == []


@pytest.mark.parametrize("place", ["../token", "../../etc/passwd", "/etc/passwd", "link", "folder/link"])
def test_s13_a_path_outside_the_root_or_a_link_is_not_opened(tmp_path: Path, place: str) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "token").write_text("secret")
    (root / "link").symlink_to(tmp_path / "token")
    (root / "folder" / "link").symlink_to(root / "real")
    (root / "real").write_text("fine")
    with pytest.raises(NotFound):
        open_stored(root, Path(place))
    with open_stored(root, Path("real")) as file:
        assert file.read() == b"fine"


def test_s14_what_a_worker_uploads_is_never_shown_by_a_browser(http: TestClient) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    page = b"<html><script>alert(1)</script></html>"
    assert put(http, worker, leased.run_id, page, sha256=digest(page)).status_code == 200
    answer = http.get(f"{API}/trials/{leased.trial_id}/checkpoints/best", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_s26_ten_thousand_ranges_are_416_at_once(http: TestClient) -> None:
    post_spec(http, grid_spec())
    worker = register(http)
    (leased,) = lease(http, worker).leases
    put(http, worker, leased.run_id, CONTENT, sha256=digest(CONTENT))
    ranges = "bytes=" + ",".join(f"{at % 7_000}-" for at in range(10_000))
    answer = http.get(f"{API}/trials/{leased.trial_id}/checkpoints/best", headers={"Range": ranges})
    problem(answer, 416, "range_not_satisfiable")
    started = time.perf_counter()
    with pytest.raises(HpsearchError):
        asked_range(ranges, len(CONTENT))
    assert time.perf_counter() - started < 0.05
