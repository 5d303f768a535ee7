from datetime import UTC, datetime
from types import SimpleNamespace

from fastapi.testclient import TestClient

from api.app import create_app
from api.known_tokens import SECONDS, KnownTokens
from api.settings import Settings
from hpsearch.records import Token, TokenId
from hpsearch.service import tokens
from hpsearch.store.engine import Database
from hpsearch.wire import CreateToken
from tests.api.scenes import API

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOKEN = Token(
    id=TokenId(1), name="a", scope="user", prefix="hps_", created_at=NOW, expires_at=None, revoked_at=None
)


def test_a_token_is_known_for_a_second_from_when_it_was_asked_for() -> None:
    clock = SimpleNamespace(now=100.0)
    known = KnownTokens(lambda: clock.now)
    ticket = known.ticket
    clock.now += 0.4  # the database took its time
    known.remember("secret", TOKEN, ticket)
    assert known.get("secret") == TOKEN
    assert known.get("secret ") is None
    clock.now = 100.0 + SECONDS
    assert known.get("secret") is None


def test_a_revocation_is_not_undone_by_a_look_up_that_began_before_it() -> None:
    known = KnownTokens(lambda: 0.0)
    known.remember("first", TOKEN, known.ticket)
    ticket = known.ticket
    known.forget()
    known.remember("second", TOKEN, ticket)
    assert known.get("first") is None
    assert known.get("second") is None
    known.remember("second", TOKEN, known.ticket)
    assert known.get("second") == TOKEN


def test_what_another_server_revokes_is_refused_within_a_second(settings: Settings) -> None:
    clock = SimpleNamespace(now=100.0)
    app = create_app(settings, clock=lambda: NOW, monotonic=lambda: clock.now)
    with TestClient(app, base_url="http://127.0.0.1") as http:
        db: Database = app.state.resources.db
        made = tokens.create(db, CreateToken(name="ci", scope="viewer"), now=NOW)
        assert status(http, made.secret) == 200
        tokens.revoke(db, made.token.id, now=NOW)  # as another server on the same database does
        clock.now += SECONDS
        assert status(http, made.secret) == 401


def test_what_this_server_revokes_is_refused_at_once_on_the_pages_too(settings: Settings) -> None:
    app = create_app(settings, clock=lambda: NOW, monotonic=lambda: 100.0)
    with TestClient(app, base_url="http://127.0.0.1") as http:
        admin = {"Authorization": f"Bearer {settings.home.read_token()}"}
        made = http.post(f"{API}/tokens", json={"name": "ci", "scope": "viewer"}, headers=admin).json()
        http.cookies.set("hpsearch_token", made["secret"])
        assert http.get("/").status_code == 200
        assert status(http, made["secret"]) == 200
        assert http.delete(f"{API}/tokens/{made['token']['id']}", headers=admin).status_code == 200
        assert status(http, made["secret"]) == 401
        assert http.get("/").status_code == 401


def status(http: TestClient, secret: str) -> int:
    return http.get(f"{API}/studies", headers={"Authorization": f"Bearer {secret}"}).status_code
