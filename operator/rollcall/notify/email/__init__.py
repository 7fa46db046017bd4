"""Alerts by e-mail."""
