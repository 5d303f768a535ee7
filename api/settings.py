"""What a server is told: `HPSEARCH_*` variables, or arguments that win over them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hpsearch.errors import InvalidInput
from hpsearch.home import Home
from hpsearch.server_url import is_loopback_host

MIB = 2**20
# The reaper takes half a lease without a tick for an outage, and renews: its own pauses must stay well below that.
TICKS_PER_LEASE = 4


def _home(value: Any) -> Any:
    return Home.locate(Path(value)) if isinstance(value, str | Path) else value


def _names(value: Any) -> Any:
    return (
        tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
    )


class Settings(BaseSettings):
    """One server. `port` 0 picks a free one; `allowed_hosts` adds names under which it may be asked."""

    model_config = SettingsConfigDict(env_prefix="HPSEARCH_", frozen=True, arbitrary_types_allowed=True)

    home: Annotated[Home, NoDecode, BeforeValidator(_home)] = Field(default_factory=Home.locate)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    database_url: str | None = Field(default=None, description="by default SQLite in the home")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lease_seconds: float = Field(default=30.0, gt=0, le=3_600)
    reaper_seconds: float = Field(default=2.0, gt=0, le=600)
    max_body_bytes: int = Field(default=16 * MIB, ge=1_024, description="of JSON, after decompression")
    max_checkpoint_bytes: int = Field(default=8_192 * MIB, ge=1_024)
    min_free_mib: float = Field(default=64, ge=0, description="of disk, below which no trials are handed out")
    ballast_mib: float = Field(default=8, ge=0, description="of disk, held back for results when it is full")
    bad_tokens_per_minute: int = Field(default=60, ge=1)
    retention_days: float | None = Field(default=None, ge=0, description="None keeps everything")
    retention_best: int = Field(default=10, ge=1, le=1_000, description="trials of a study that keep all")
    longest_poll_seconds: float = Field(default=60.0, ge=0, description="that a request for a lease may wait")
    longest_stream_seconds: float = Field(default=3_600.0, gt=0, description="of events; then one asks again")
    header_seconds: float = Field(
        default=10.0, gt=0, description="for a request's header to arrive, and for a form without a token"
    )
    body_silence_seconds: float = Field(default=60.0, gt=0, description="between two parts of a body")

    @model_validator(mode="after")
    def _leases_can_expire(self) -> Self:
        lease, reaper = self.lease_seconds, self.reaper_seconds
        if lease < TICKS_PER_LEASE * reaper:
            raise InvalidInput(
                f"HPSEARCH_LEASE_SECONDS is {lease:g}, less than four times HPSEARCH_REAPER_SECONDS, {reaper:g}: "
                "leases of dead workers would be renewed for ever",
                hint=f"set HPSEARCH_LEASE_SECONDS to {TICKS_PER_LEASE * reaper:g} or more, or "
                f"HPSEARCH_REAPER_SECONDS to {lease / TICKS_PER_LEASE:g} or less",
            )
        return self

    @property
    def database(self) -> str:
        """The URL of the database that is used."""
        return self.database_url or self.home.database_url

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback_host(self.host)
