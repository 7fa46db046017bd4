"""Alembic's entry: runs the migrations on the connection that `store.upgrade` hands over.

There is one transaction for all of them, under the advisory lock and the timeouts that `upgrade`
has set: either the schema is at the new head afterwards, or nothing happened.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], transaction_per_migration=False
)
context.run_migrations()
