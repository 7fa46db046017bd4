"""Cases that break the installation: one after the other, and never next to other cases.

A worker of pytest-xdist leaves them out; run this folder without `-n`.
"""

import os

import pytest

from rollcall.cluster import client
from support import kube as kubes
from support import outages

# What a worker leaves out, the run without workers has.
collect_ignore_glob = ["test_*.py"] if "PYTEST_XDIST_WORKER" in os.environ else []


@pytest.fixture
async def system(kube: client.KubeClient, image: str) -> outages.System:
    """Return the installation, once all of it is ready."""
    found = outages.System(place=kubes.Place(kube=kube, name=kubes.SYSTEM, image=image))
    await found.ready(within=180)
    return found
