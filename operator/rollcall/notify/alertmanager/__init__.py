"""Alerts to a Prometheus Alertmanager."""
