"""Prometheus metrics, each declared once, and the health endpoints."""
