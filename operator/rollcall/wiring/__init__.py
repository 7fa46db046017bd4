"""The one place that knows every part: each process role is put together here."""
