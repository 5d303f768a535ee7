"""Examinations: small studies beside the one whose trial they diagnose.

Both columns stay empty for every other study, so a program of the older version goes on writing beside this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("studies", sa.Column("parent_id", ID))
    op.add_column("studies", sa.Column("examines", ID))
    op.create_index("ix_studies_parent_id", "studies", ["parent_id"])
    op.create_index("ix_studies_examines", "studies", ["examines"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_studies_examines", "studies")
    op.drop_index("ix_studies_parent_id", "studies")
    op.drop_column("studies", "examines")
    op.drop_column("studies", "parent_id")
