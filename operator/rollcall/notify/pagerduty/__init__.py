"""Alerts to PagerDuty."""
