"""What attempts may have cost without an answer, the repeat of a reply that was cut off, and answers that are no replies."""

import sqlalchemy as sa
from alembic import op

revision = "m002"
down_revision = "m001"


def upgrade() -> None:
    """Add the columns to the requests."""
    with op.batch_alter_table("requests") as table:
        table.add_column(sa.Column("repeated_cap", sa.Integer(), nullable=True))
        table.add_column(sa.Column("first_reply", sa.JSON(none_as_null=True), nullable=True))
        table.add_column(sa.Column("error_body", sa.Text(), nullable=True))
        table.add_column(sa.Column("maybe_cost", sa.Float(), server_default="0", nullable=False))
        table.add_column(sa.Column("maybe_tokens", sa.Integer(), server_default="0", nullable=False))
