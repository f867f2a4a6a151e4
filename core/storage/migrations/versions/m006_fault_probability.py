"""How likely a triple is faulty, which the review queue sorts by, the cosines that went into it, and an index to count queues with."""

import sqlalchemy as sa
from alembic import op

revision = "m006"
down_revision = "m005"


def upgrade() -> None:
    """Add the columns. Until a workspace is checked again, its queue keeps the order it had: by the sum of the flags' weights."""
    op.drop_index("triples_by_suspicion", "triples")
    # One statement each instead of a batch: a batch would copy the table, and every text in it.
    op.add_column("triples", sa.Column("nearness_positive", sa.Float(), nullable=True))
    op.add_column("triples", sa.Column("nearness_negative", sa.Float(), nullable=True))
    op.add_column("triples", sa.Column("fault_probability", sa.Float(), server_default="0", nullable=False))
    op.execute("UPDATE triples SET fault_probability = suspicion / (1.0 + suspicion)")
    op.create_index("triples_by_fault", "triples", ["verdict", sa.text("fault_probability DESC"), "number"], unique=False)
    filters = ["verdict", "task_id", "group", "language", "target_language", "topic", "source"]
    op.create_index("triples_by_queue", "triples", [*filters, "prompt_version_id", "flagged", "reviewer", "number", "id"], unique=False)
