"""A kmsd of one's own: a process, a temporary folder, a free port on the loopback address."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 30
STOP_SECONDS = 30


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def kmsd(folder: Path, *options: str) -> Iterator[str]:
    """Run ``twistd kmsd`` with its data in a folder; give its URL; stop it, which must go well."""
    port = free_port()
    with (folder / f"kmsd-{port}.log").open("w+") as log:
        process = subprocess.Popen(
            _command(folder, port, *options),
            cwd=REPOSITORY,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(process, url, Path(log.name))
            yield url
            assert process.poll() is None, f"kmsd died:\n{_tail(Path(log.name))}"
        finally:
            process.terminate()
            code = process.wait(STOP_SECONDS)
        assert code == 0, f"kmsd left with {code}:\n{_tail(Path(log.name))}"


def _command(folder: Path, port: int, *options: str) -> list[str]:
    twistd = str(Path(sys.executable).with_name("twistd"))
    program = (twistd, "--nodaemon", "--pidfile=", "kmsd")
    place = ("--hostname", "127.0.0.1", "--port", str(port), "--root-data-path", str(folder))
    return [*program, *place, *options]


def _environment() -> dict[str, str]:
    """Ours, without the settings of a server that somebody runs for real."""
    names = (name for name in os.environ if not name.startswith(("KMS_", "COSMIAN_KMS_")))
    return {name: os.environ[name] for name in names}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}version", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"kmsd does not answer:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])
