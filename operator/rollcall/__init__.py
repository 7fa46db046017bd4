"""Rollcall: scheduled jobs on Kubernetes that answer the roll call."""

__version__ = "0.1.0"
