"""Brings up a real kind cluster for the demo and the tests, with or without an image registry."""
