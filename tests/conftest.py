"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How fast the machine is, is no property of the product: speed is measured in benchmarks.
settings.register_profile("rollcall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rollcall")
