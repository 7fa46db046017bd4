"""The Postgres side: models, migrations and the implementations of the store's ports."""
