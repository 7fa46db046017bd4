"""Alert channels: one module per kind over one guarded HTTP client."""
