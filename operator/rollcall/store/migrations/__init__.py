"""Alembic environment; run by `rollcall.store.upgrade` alone."""
