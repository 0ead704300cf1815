"""A server for a whole module of tests: a process, a temporary folder, a free port on loopback."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import TWISTD, Kmsd, clean_environment


@contextlib.contextmanager
def kmsd(folder: Path, *options: str) -> Iterator[str]:
    """Run ``twistd kmsd`` with its data in a folder; give its URL; stop it, which must go well."""
    place = ("--hostname=127.0.0.1", "--port=0", f"--root-data-path={folder}")
    log = folder / f"kmsd-{len(list(folder.glob('kmsd-*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [TWISTD, "--nodaemon", "--pidfile=", "kmsd", *place, *options],
            cwd=folder,
            env=clean_environment(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Kmsd(process, folder, log)
    try:
        server.wait_until_it_answers()
        yield f"{server.url}/"
        assert process.poll() is None, f"kmsd died:\n{server.output()[-4000:]}"
    finally:
        code = server.stop()
    assert code == 0, f"kmsd left with {code}:\n{server.output()[-4000:]}"
