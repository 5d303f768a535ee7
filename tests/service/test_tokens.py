from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from hpsearch.errors import Conflict, NotFound
from hpsearch.records import TokenId
from hpsearch.service import tokens
from hpsearch.store.engine import Database
from hpsearch.wire import CreateToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_secret_opens_and_another_does_not(db: Database) -> None:
    made = tokens.create(db, CreateToken(name="ci", scope="user"), now=NOW)
    assert tokens.authenticate(db, made.secret, now=NOW) == made.token
    flipped = made.secret[:-1] + ("a" if made.secret[-1] != "a" else "b")
    for wrong in (flipped, "", "hps_", made.secret + "x", made.secret.upper(), "é" * 47, "x" * 10_000):
        assert tokens.authenticate(db, wrong, now=NOW) is None


def test_an_expired_or_revoked_token_does_not_open(db: Database) -> None:
    made = tokens.create(db, CreateToken(name="ci", scope="worker", expires_in_seconds=60), now=NOW)
    assert tokens.authenticate(db, made.secret, now=NOW + timedelta(seconds=59)) is not None
    assert tokens.authenticate(db, made.secret, now=NOW + timedelta(seconds=60)) is None
    lasting = tokens.create(db, CreateToken(name="lasting", scope="worker"), now=NOW)
    revoked = tokens.revoke(db, lasting.token.id, now=NOW)
    assert revoked.revoked_at == NOW
    assert tokens.authenticate(db, lasting.secret, now=NOW) is None
    assert tokens.revoke(db, lasting.token.id, now=NOW + timedelta(seconds=5)) == revoked


def test_an_unknown_token_can_not_be_revoked(db: Database) -> None:
    with pytest.raises(NotFound, match="no token 7"):
        tokens.revoke(db, TokenId(7), now=NOW)


def test_the_database_holds_no_secret(db: Database) -> None:
    made = tokens.create(db, CreateToken(name="ci", scope="admin"), now=NOW)
    with db.read() as tx:
        dump = repr(list(tx.execute(text("SELECT * FROM tokens"))))
    assert made.token.prefix in dump
    assert made.secret not in dump
    assert made.secret[12:] not in dump
    assert len(made.secret) == 47  # 256 random bits in base64url behind the mark
    assert [token.id for token in tokens.list_all(db).tokens] == [made.token.id]


def test_a_name_belongs_to_one_valid_token(db: Database) -> None:
    first = tokens.create(db, CreateToken(name="ci", scope="user", expires_in_seconds=60), now=NOW).token
    with pytest.raises(Conflict, match=f"token {first.id} is called 'ci', and is still valid") as caught:
        tokens.create(db, CreateToken(name="ci", scope="viewer"), now=NOW)
    assert f"hpsearch token revoke {first.id}" in str(caught.value.hint)
    later = tokens.create(db, CreateToken(name="ci", scope="viewer"), now=NOW + timedelta(seconds=60)).token
    tokens.revoke(db, later.id, now=NOW)
    tokens.create(db, CreateToken(name="ci", scope="viewer"), now=NOW + timedelta(seconds=60))
    assert len(tokens.list_all(db).tokens) == 3


def test_a_home_s_next_token_is_numbered(db: Database) -> None:
    body = CreateToken(name="local x", scope="admin")
    names = [tokens.create(db, body, now=NOW, numbered=True).token.name for _ in range(3)]
    assert names == ["local x", "local x 2", "local x 3"]


def test_of_two_that_choose_a_name_at_once_one_gets_it(db: Database) -> None:
    def make(_: int) -> bool:
        try:
            tokens.create(db, CreateToken(name="ci", scope="user"), now=NOW)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\u202eevil", "  ", "", "x" * 101, "a\ud800"])
def test_a_name_is_one_line_that_can_be_read(name: str) -> None:
    with pytest.raises(ValidationError):
        CreateToken(name=name, scope="user")
