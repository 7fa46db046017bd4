"""The ingest API for sidecars."""
