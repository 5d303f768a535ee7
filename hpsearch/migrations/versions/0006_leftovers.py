"""Studies whose checkpoint files wait to be removed: the rows go first, and a killed server must not forget the files."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leftovers",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leftovers"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("leftovers")
