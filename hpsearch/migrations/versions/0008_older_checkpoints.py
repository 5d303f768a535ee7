"""The checkpoint that a run's newest one replaced: its file is kept, to fall back on where the newest is damaged.

Empty where there is none. An older program beside this one leaves them as they are; what they speak of may be gone by
then, and is passed over.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("older_step", "older_size"):
        op.add_column("checkpoints", sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("checkpoints", sa.Column("older_sha256", sa.String(64)))
    op.add_column("checkpoints", sa.Column("older_path", sa.Text()))


def downgrade() -> None:
    for name in ("older_step", "older_size", "older_sha256", "older_path"):
        op.drop_column("checkpoints", name)
