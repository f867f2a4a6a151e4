"""Indexes from which the yields of all requests are counted without reading one."""

from alembic import op

revision = "m004"
down_revision = "m003"


def upgrade() -> None:
    """Add the indexes; they hold every column that core.storage.yields reads."""
    asked = ["step", "job_id", "group", "language", "model", "prompt_version_id"]
    came = ["state", "attempts", "finish_reason", "prompt_tokens", "completion_tokens", "cost"]
    op.create_index("requests_by_yield", "requests", [*asked, *came], unique=False)
    made = ["source", "group", "language", "model", "prompt_version_id", "verdict", "suspicion"]
    op.create_index("triples_by_yield", "triples", made, unique=False)
    op.drop_index("requests_by_prompt", "requests")  # what it was for is counted from the new one
