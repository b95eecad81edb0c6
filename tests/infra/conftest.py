"""What holds for all tests of the Pulumi program."""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """Pulumi's runtime takes the thread's event loop; what ran before may have left none, or a closed one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
