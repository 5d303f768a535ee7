"""The way in, without a browser: cookies, forms and where they lead."""

import gzip
import re

import pytest
from fastapi.testclient import TestClient

from api.pages import own_path
from api.session import COOKIE
from api.settings import Settings
from tests.api.conftest import ORIGIN
from tests.api.scenes import API, grid_spec, post_spec, problem

HTML = {"Accept": "text/html"}


def login(http: TestClient, secret: str, next_: str = "/") -> int:
    http.headers.pop("Authorization", None)
    answer = http.post("/login", data={"token": secret, "next": next_}, headers=HTML, follow_redirects=False)
    return answer.status_code


def csrf(http: TestClient) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', http.get("/", headers=HTML).text)
    assert found
    return found[1]


def test_a_browser_without_a_session_gets_the_form_with_401(anonymous: TestClient) -> None:
    answer = anonymous.get("/studies/a-grid?metric=loss", headers=HTML)
    assert answer.status_code == 401
    assert 'name="token"' in answer.text
    assert 'value="/studies/a-grid?metric=loss"' in answer.text
    assert anonymous.get("/studies/a-grid").headers["content-type"] == "application/problem+json"


def test_a_good_token_opens_the_pages_in_a_cookie_that_no_script_reads(
    anonymous: TestClient, settings: Settings
) -> None:
    secret = str(settings.home.read_token())
    answer = anonymous.post(
        "/login", data={"token": secret, "next": "/workers"}, headers=HTML, follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/workers"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=43200" in cookie
    assert anonymous.get("/", headers=HTML).status_code == 200
    assert secret not in anonymous.get("/", headers=HTML).text


def test_behind_tls_the_cookie_never_goes_back_to_http(anonymous: TestClient, settings: Settings) -> None:
    anonymous.base_url = "https://127.0.0.1:8000"  # type: ignore[assignment]
    answer = anonymous.post(
        "/login", data={"token": str(settings.home.read_token())}, headers=HTML, follow_redirects=False
    )
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_a_bad_token_is_told_and_counted(anonymous: TestClient, settings: Settings) -> None:
    assert login(anonymous, "hps_" + "x" * 43) == 401
    assert COOKIE not in anonymous.cookies
    codes = {login(anonymous, "no") for _ in range(70)}
    assert codes == {401, 429}
    assert login(anonymous, str(settings.home.read_token())) == 303


def test_a_revoked_token_ends_the_session(http: TestClient) -> None:
    made = http.post(f"{API}/tokens", json={"name": "v", "scope": "viewer"}).json()
    admin = http.headers["Authorization"]
    assert login(http, made["secret"]) == 303
    assert http.get("/", headers=HTML).status_code == 200
    http.delete(f"{API}/tokens/{made['token']['id']}", headers={"Authorization": admin})
    gone = http.get("/", headers=HTML)
    assert gone.status_code == 401
    assert "unknown, expired or revoked" in gone.text


def test_logging_out_needs_the_form_and_forgets_the_cookie(http: TestClient, settings: Settings) -> None:
    login(http, str(settings.home.read_token()))
    assert http.post("/logout", data={"csrf": "0" * 64}, headers=HTML).status_code == 403
    left = http.post("/logout", data={"csrf": csrf(http)}, headers=HTML, follow_redirects=False)
    assert left.status_code == 303
    assert COOKIE not in http.cookies
    assert http.get("/", headers=HTML).status_code == 401


def test_s9_a_button_needs_the_sessions_own_form(http: TestClient, settings: Settings) -> None:
    post_spec(http, grid_spec())
    login(http, str(settings.home.read_token()))
    good = csrf(http)
    assert http.post("/studies/a-grid/pause", headers=HTML).status_code == 422
    for data in ({"csrf": ""}, {"csrf": "0" * 64}, {"csrf": good[:-1]}, {"other": good}):
        assert http.post("/studies/a-grid/pause", data=data, headers=HTML).status_code == 403
    assert http.post("/studies/a-grid/pause", json={"csrf": good}, headers=HTML).status_code == 422
    foreign = {**HTML, "Origin": "http://evil.example"}
    assert http.post("/studies/a-grid/pause", data={"csrf": good}, headers=foreign).status_code == 403
    own = {**HTML, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    done = http.post("/studies/a-grid/pause", data={"csrf": good}, headers=own, follow_redirects=False)
    assert done.headers["location"] == "/studies/a-grid"
    assert "paused" in http.get("/studies/a-grid", headers=HTML).text


def test_s9_the_bar_of_chosen_trials_needs_the_sessions_own_form_too(
    http: TestClient, settings: Settings
) -> None:
    post_spec(http, grid_spec())
    viewer = http.post(f"{API}/tokens", json={"name": "v", "scope": "viewer"}).json()["secret"]
    login(http, str(settings.home.read_token()))
    path, good = "/studies/a-grid/trials", csrf(http)
    asked = {"action": "stop", "trials": "1,2", "csrf": good}
    assert http.post(path, data={**asked, "csrf": "0" * 64}).status_code == 403
    assert http.post(path, data=asked, headers={"Origin": "http://evil.example"}).status_code == 403
    assert http.post(path, json=asked).status_code == 422
    for wrong in (
        {"action": "delete"},
        {"trials": ""},
        {"trials": "1,x"},
        {"trials": "1,-2"},
        {"trials": "9" * 19},
    ):
        assert http.post(path, data={**asked, **wrong}).status_code == 422, wrong
    assert http.post(path, data={**asked, "trials": "1,99"}).status_code == 404
    done = http.post(path, data={**asked, "trials": "1,2,1"})
    assert done.json() == {"text": "Stopping 2 trials.", "refused": [], "studies": []}
    login(http, viewer)
    assert http.post(path, data={**asked, "csrf": csrf(http)}).status_code == 403


def test_a_viewer_sees_no_buttons_and_can_press_none(http: TestClient) -> None:
    post_spec(http, grid_spec())
    made = http.post(f"{API}/tokens", json={"name": "v", "scope": "viewer"}).json()["secret"]
    login(http, made)
    page = http.get("/studies/a-grid", headers=HTML).text
    assert "Pause" not in page
    refused = http.post("/studies/a-grid/pause", data={"csrf": csrf(http)}, headers=HTML)
    assert refused.status_code == 403
    assert "a viewer token may not" in refused.text


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "http://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "x",
        "/a\nb",
        "/" + "x" * 3_000,
    ],
)
def test_the_way_in_leads_nowhere_else(anonymous: TestClient, settings: Settings, path: str) -> None:
    assert own_path(path) == "/"
    answer = anonymous.post(
        "/login",
        data={"token": str(settings.home.read_token()), "next": path},
        headers=HTML,
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("path", ["/studies/none", "/trials/999", "/trials/0", "/compare?study=none"])
def test_errors_are_pages_for_browsers_and_problems_for_scripts(
    http: TestClient, settings: Settings, path: str
) -> None:
    login(http, str(settings.home.read_token()))
    page = http.get(path, headers=HTML)
    assert page.status_code in (404, 422)
    assert page.headers["content-type"].startswith("text/html")
    assert "All studies" in page.text
    assert http.get(path).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name", ["..%2fapp.py", "app.py", "%2e%2e%2fsettings.py", "nothing.js", "icon.svg%00"]
)
def test_only_the_listed_assets_are_served(anonymous: TestClient, name: str) -> None:
    answer = anonymous.get(f"/static/{name}")
    assert answer.status_code in (401, 404)
    assert "import" not in answer.text


def test_the_form_is_small(anonymous: TestClient) -> None:
    assert anonymous.post("/login", data={"token": "x" * 20_000}, headers=HTML).status_code == 413
    many = {f"f{n}": "1" for n in range(100)}
    assert anonymous.post("/login", data=many, headers=HTML).status_code == 422


def test_a_strangers_form_is_small_and_plain(anonymous: TestClient) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    packed = anonymous.post(
        "/login", content=gzip.compress(b"token=a"), headers={**kind, "Content-Encoding": "gzip"}
    )
    problem(packed, 415, "unsupported_media_type")
    large = b"token=" + b"a" * 10_000
    problem(anonymous.post("/login", content=large, headers=kind), 413, "too_large")
    chunks = (large[at : at + 1_000] for at in range(0, len(large), 1_000))
    problem(anonymous.post("/login", content=chunks, headers=kind), 413, "too_large")
    most = b"token=" + b"a" * 9_994
    assert anonymous.post("/login", content=most, headers=kind).status_code == 401
