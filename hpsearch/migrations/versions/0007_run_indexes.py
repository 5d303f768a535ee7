"""Indexes that lead to the runs of one pack, and to a study's last ones, past no others of the worker's or study's."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What locks most goes first: a lock that has to grow would meet the reports of an older server half-way.
    op.drop_index("ix_runs_worker_id_state", "runs")
    op.drop_index("ix_runs_study_id_state", "runs")
    op.create_index("ix_runs_worker_id_state_request_id", "runs", ["worker_id", "state", "request_id"])
    op.create_index("ix_runs_study_id_state_id", "runs", ["study_id", "state", "id"])


def downgrade() -> None:
    op.drop_index("ix_runs_worker_id_state_request_id", "runs")
    op.drop_index("ix_runs_study_id_state_id", "runs")
    op.create_index("ix_runs_worker_id_state", "runs", ["worker_id", "state"])
    op.create_index("ix_runs_study_id_state", "runs", ["study_id", "state"])
