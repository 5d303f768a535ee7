"""The token that registered a worker, which alone may speak for it.

Empty for workers that an older program registered, or goes on registering beside this one: any worker's token
speaks for these, as it did before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("token_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))


def downgrade() -> None:
    op.drop_column("workers", "token_id")
