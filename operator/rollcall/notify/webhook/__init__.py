"""Alerts to any HTTP receiver."""
