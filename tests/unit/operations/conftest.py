"""A whole server without its doors: the real engine on a real SQLite store, at a settable time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from tests.server import Kms, open_kms


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def kms(tmp_path: Path) -> AsyncIterator[Kms]:
    """The engine, for anyone to call; its clock stands still until it is set."""
    server = await open_kms(tmp_path)
    yield server
    await server.close()
