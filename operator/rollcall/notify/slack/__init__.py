"""Alerts to a Slack channel."""
