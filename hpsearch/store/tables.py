"""The tables. A change here needs a migration: a test compares the two on both databases.

Whatever changes a trial's state holds the lock on its study's row, which carries the counts of trials by
state; so "is any trial open?" and "how many wait?" cost the same at the hundred-thousandth trial.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from hpsearch.records import TrialState
from hpsearch.store.types import Id, Json, Label, PlainText, Timestamp

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

studies = Table(
    "studies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Label(100), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("method", String(32), nullable=False),
    Column("metric", Label(100), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("spec", Json, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("labels", Json, nullable=False),
    *(Column(f"{state}_trials", Integer, nullable=False) for state in TrialState),
    Column("planned_trials", Integer, nullable=False),  # also the next trial's number
    Column("started_trials", Integer, nullable=False),  # claimed at least once: what budget.trials counts
    Column("best_value", Double),
    Column("pace", Json, nullable=False),  # kind of work -> seconds per unit of budget, see service.packs
    Column(
        "device_seconds", Double, nullable=False, server_default="0"
    ),  # of ended runs, see service.budgets
    Column("deadline", Timestamp),  # when budget.minutes ends; set at the first claim
    # Of an examination: the study whose trial it examines, and that trial (once each: see service.examinations).
    Column("parent_id", Id),
    Column("examines", Id),
    Column("created_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Index("ix_studies_state_priority", "state", "priority"),
    Index("ix_studies_parent_id", "parent_id"),
    Index("ix_studies_examines", "examines", unique=True),
    sqlite_autoincrement=True,
)

stages = Table(
    "stages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("round", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("verdict", Json),
    Column("carried", Json, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    UniqueConstraint("study_id", "position"),
    sqlite_autoincrement=True,
)

trials = Table(
    "trials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("stage_id", ForeignKey("stages.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("role", Label(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("message", PlainText, nullable=False),
    Column("program", Json, nullable=False),
    Column("params", Json, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("budget", Json),
    Column("digest", String(64), nullable=False),
    Column("continues", Id),
    Column("value", Double),
    Column("metrics", Json, nullable=False),
    Column("measurements", Json, nullable=False),
    Column("steps", Id, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("rescues", Integer, nullable=False),
    Column("preemptions", Integer, nullable=False),
    # Cancelled because its study stopped: it waits again when the study resumes.
    Column("resumable", Boolean, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("started_at", Timestamp),
    Column("finished_at", Timestamp),
    UniqueConstraint("study_id", "digest"),
    UniqueConstraint("study_id", "number"),
    Index("ix_trials_study_id_state_id", "study_id", "state", "id"),  # claims
    Index("ix_trials_study_id_state_value", "study_id", "state", "value"),  # ranking
    Index("ix_trials_stage_id_state", "stage_id", "state"),
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Label(100), nullable=False),
    Column("incarnation", Integer, nullable=False),  # 1, 2 ... of this name; the highest one is the worker
    Column("state", String(16), nullable=False),
    Column("host", PlainText, nullable=False),
    Column("version", PlainText, nullable=False),
    Column("slots", Json, nullable=False),
    Column("slot_count", Integer, nullable=False),
    Column("labels", Json, nullable=False),
    Column("start_id", Label(64)),  # of the daemon's start: registering again is no new incarnation
    Column("token_id", Id),  # the token that registered it; none where an older program did
    Column("registered_at", Timestamp, nullable=False),
    Column("last_seen_at", Timestamp, nullable=False),
    UniqueConstraint("name", "incarnation"),
    sqlite_autoincrement=True,
)

# A run's id is the fencing token: never given twice, also not after a study was deleted (autoincrement).
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("worker_id", ForeignKey("workers.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("request_id", Label(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("message", PlainText, nullable=False),
    Column("stop", Boolean, nullable=False),  # the user asked for its end; told at the next heartbeat
    Column("last_seq", Integer, nullable=False),  # -1: nothing was reported yet
    Column("outcome_digest", String(64)),
    Column("lease_until", Timestamp, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    UniqueConstraint("trial_id", "epoch"),
    Index("ix_runs_state_lease_until", "state", "lease_until"),  # the reaper
    Index("ix_runs_worker_id_state_request_id", "worker_id", "state", "request_id"),  # packs
    Index("ix_runs_worker_id_id", "worker_id", "id"),  # the breaker
    Index("ix_runs_study_id_state_id", "study_id", "state", "id"),
    sqlite_autoincrement=True,
)

metric_chunks = Table(
    "metric_chunks",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

run_logs = Table(
    "run_logs",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("text", PlainText, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(16), primary_key=True),
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("step", Id, nullable=False),
    Column("size", Id, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("path", PlainText, nullable=False),
    # What it replaced, whose file is kept.
    Column("older_step", Id),
    Column("older_size", Id),
    Column("older_sha256", String(64)),
    Column("older_path", PlainText),
    Column("created_at", Timestamp, nullable=False),
    Index("ix_checkpoints_trial_id_name", "trial_id", "name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("prefix", Label(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
    Index("ix_tokens_prefix", "prefix"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", Json, nullable=False),
    Column("at", Timestamp, nullable=False),
    Index("ix_events_study_id_id", "study_id", "id"),
    sqlite_autoincrement=True,
)

# The reaper's last tick, one row per steady clock (`service.clock`): `monotonic` compares within one only.
server_ticks = Table(
    "server_ticks",
    metadata,
    Column("server", Label(255), primary_key=True),
    Column("wall", Timestamp, nullable=False),
    Column("monotonic", Double, nullable=False),
)

# Studies that were deleted or pruned and may have files that no checkpoint lies in. No foreign key: it outlives them.
leftovers = Table(
    "leftovers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("study_id", Id, nullable=False),
    sqlite_autoincrement=True,
)

# One row, made by the migration: who this database is.
identity = Table("identity", metadata, Column("id", String(32), primary_key=True))
