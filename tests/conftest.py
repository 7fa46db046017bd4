"""What holds for all tests."""

import gc
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How fast the machine is, is no property of the product: speed is measured in benchmarks.
settings.register_profile(
    "usual", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# What `make check` has time for; `make test` tries the properties of the arithmetic as usual.
settings.register_profile("quick", settings.get_profile("usual"), max_examples=10)
# For a change of what such a test is about: `pytest --hypothesis-profile thorough tests/unit/core`.
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=2000)
settings.load_profile("usual")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what is collected: it lives until the end."""
    gc.disable()
    result = yield
    gc.enable()
    gc.freeze()
    return result
