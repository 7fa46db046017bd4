"""Stories on a real Postgres."""

import pytest

from rollcall.store import engine
from support import clocks
from support.stories import Story


@pytest.fixture
async def story(store: engine.Database, clock: clocks.Clock) -> Story:
    return Story(store, clock)
