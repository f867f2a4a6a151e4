"""Several reviewers: what a decision was taken on, independent readings, leases; and a log that refuses to be rewritten."""

import sqlalchemy as sa
from alembic import op

revision = "m005"
down_revision = "m004"


def upgrade() -> None:
    """Add the columns and the two tables, and let SQLite guard the log."""
    with op.batch_alter_table("decisions") as table:
        table.add_column(sa.Column("readers", sa.Integer(), server_default="1", nullable=False))
        table.add_column(sa.Column("adjudicates", sa.Boolean(), server_default="0", nullable=False))
        table.add_column(sa.Column("shown", sa.JSON(), server_default="[]", nullable=False))
    op.create_table(
        "readings",
        sa.Column("triple_id", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["triple_id"], ["triples.id"]),
        sa.PrimaryKeyConstraint("triple_id", "reviewer"),
    )
    op.create_index("readings_by_reviewer", "readings", ["reviewer"], unique=False)
    op.create_table(
        "leases",
        sa.Column("triple_id", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["triple_id"], ["triples.id"]),
        sa.PrimaryKeyConstraint("triple_id", "reviewer"),
    )
    op.create_index("leases_by_holder", "leases", ["holder"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER decisions_refuse_{act.lower()} BEFORE {act} ON decisions "
                "BEGIN SELECT RAISE(ABORT, 'decisions are never changed or deleted'); END"
            )
