"""Alembic's entry: the connection is handed in by core.storage.database."""

from alembic import context

from core.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True, transactional_ddl=True
)
context.run_migrations()
