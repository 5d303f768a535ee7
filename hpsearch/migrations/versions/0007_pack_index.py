"""An index that leads to the runs of one pack, in place of the one that led to all that its worker ever ran."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_runs_worker_id_state_request_id", "runs", ["worker_id", "state", "request_id"])
    op.drop_index("ix_runs_worker_id_state", "runs")


def downgrade() -> None:
    op.create_index("ix_runs_worker_id_state", "runs", ["worker_id", "state"])
    op.drop_index("ix_runs_worker_id_state_request_id", "runs")
