"""A server for a whole module of tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import launch


@contextlib.contextmanager
def kmsd(folder: Path, *options: str) -> Iterator[str]:
    """Run ``twistd kmsd`` with its data in a folder; give its URL; stop it, which must go well."""
    server = launch(folder, *options)
    try:
        yield f"{server.url}/"
        assert server.process.poll() is None, f"kmsd died:\n{server.output()[-4000:]}"
    finally:
        code = server.stop()
    assert code == 0, f"kmsd left with {code}:\n{server.output()[-4000:]}"
