"""Device time on studies, the start of a worker's daemon, and the breaker's index.

New columns carry a default on the server: a program of the older version goes on writing beside this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "studies", sa.Column("device_seconds", sa.Double(), nullable=False, server_default="0")
    )
    op.add_column("workers", sa.Column("start_id", sa.String(length=64)))
    op.create_index("ix_runs_worker_id_id", "runs", ["worker_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_runs_worker_id_id", "runs")
    op.drop_column("workers", "start_id")
    op.drop_column("studies", "device_seconds")
