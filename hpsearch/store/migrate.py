"""Brings a database to the newest schema."""

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from hpsearch import migrations
from hpsearch.errors import InvalidInput
from hpsearch.store.tables import metadata

State = Literal["current", "behind", "newer", "empty", "foreign"]

# Any constant: servers that start together on one Postgres migrate one after the other.
ADVISORY_LOCK = 0x68707365


def upgrade(connection: Connection) -> None:
    """Apply the missing migrations inside the connection's transaction. Raises InvalidInput for a database
    whose schema is newer than this program, or another program's."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SET LOCAL statement_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if state(connection) == "foreign":
        raise InvalidInput(
            f"the database {connection.engine.url.render_as_string()} holds another program's tables, some under hpsearch's names",
            hint="give hpsearch a database of its own, an empty one",
        )
    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise InvalidInput(
            f"the database can't be migrated: {error}",
            hint="it may belong to a newer hpsearch; upgrade this one",
        ) from None


def config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def state(connection: Connection) -> State:
    """How the database's schema compares with this program's; `newer` is another version's, in a rolling upgrade, and
    `foreign` another program's."""
    found = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(config(connection))
    if found == script.get_current_head():
        return "current"
    if found in {revision.revision for revision in script.walk_revisions()}:
        return "behind"
    tables = set(inspect(connection).get_table_names())
    if found is None:
        return "foreign" if tables & set(metadata.tables) else "empty"
    return "newer" if "identity" in tables else "foreign"  # every version to come has that
