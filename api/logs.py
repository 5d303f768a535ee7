"""Log lines with the ids of what they speak of: JSON for programs, plain text on a terminal.

Everything passes here, uvicorn's, SQLAlchemy's and stamina's lines too. The house logs with the standard
library and `extra={...}`, so that without this set-up nothing is printed.
"""

import logging
from typing import TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from api.redaction import redact

# Their own words about each statement and connection.
QUIET = ("sqlalchemy.engine", "sqlalchemy.pool", "uvicorn.access", "alembic", "asyncio")


def configure(level: str, stream: TextIO) -> None:
    """Write this process's log to `stream` from `level` up: JSON lines unless it is a terminal."""
    shared = _shared()
    # stamina speaks through structlog where it is installed; from there it goes the same way.
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(terminal=stream.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def formatter(*, terminal: bool) -> logging.Formatter:
    """How one line is written. A traceback is the plain one: structlog's richer ones show local variables."""
    shown: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    return ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            shown,
        ],
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
