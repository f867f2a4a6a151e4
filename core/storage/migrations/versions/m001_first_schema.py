"""First schema."""

from alembic import op

from core.storage.schema import metadata

revision = "m001"
down_revision = None


def upgrade() -> None:
    """Create all tables of version 0.1."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop them."""
    metadata.drop_all(op.get_bind())
