"""Postgres through psycopg 3: one bounded, pre-pinged pool whose sessions can't hang."""

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL

from hpsearch.errors import InvalidInput

STATEMENT_SECONDS = 5
LOCK_SECONDS = 2
IDLE_IN_TRANSACTION_SECONDS = 10
CONNECT_SECONDS = 5
POOL = 10
OVERFLOW = 10

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
DISK_FULL = "53100"


def engine(url: URL) -> Engine:
    """An engine for a Postgres URL. Raises InvalidInput where psycopg is not installed."""
    options = (
        f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s -c timezone=UTC"
        # A plan that is kept was made for the table as it was: one of a few rows is read whole even when it has grown to
        # thousands, until autovacuum has seen that.
        " -c plan_cache_mode=force_custom_plan"
    )
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=POOL,
            max_overflow=OVERFLOW,
            pool_timeout=LOCK_SECONDS,
            connect_args={
                "options": options,
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "hpsearch",
            },
        )
    except ModuleNotFoundError:
        raise InvalidInput(
            "a Postgres database needs psycopg, which is not installed",
            hint="pip install 'hpsearch[postgres]'",
        ) from None
