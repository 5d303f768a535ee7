"""Alembic's entry point. Runs on the connection that `store.migrate` hands in, inside its transaction."""

from alembic import context

from hpsearch.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
