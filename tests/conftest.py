"""What tests of every kind use: a running server of one's own, and the shared reference data."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
TWISTD = Path(sys.executable).with_name("twistd")
PATIENCE_SECONDS = 30


@dataclass
class Kmsd:
    """A `twistd -n kmsd` of one test, on loopback, with its data and log in a temporary folder."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    url: str = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS) as answer:
            body: bytes = answer.read()
            return body

    def wait_until_it_answers(self) -> None:
        """The server tells its port in the log, having been asked for any free one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"listening on (https?://127\.0\.0\.1:\d+)", self.output())
            if found:
                self.url = found[1]
                if self._answers():
                    return
            time.sleep(0.02)
        raise AssertionError(f"kmsd does not answer:\n{self.output()}")

    def _answers(self) -> bool:
        """Over TLS a refusal of the test, who has shown no certificate, is an answer too."""
        try:
            if self.url.startswith("http:"):
                self.get("/health")
            else:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


StartKmsd = Callable[..., Kmsd]


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """Our environment without a real server's settings, with a home of its own."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("KMS_", "COSMIAN_"))}
    return {**ours, "HOME": str(home), **variables}


def launch(folder: Path, *options: str, twistd: Sequence[str] = (), **variables: str) -> Kmsd:
    """Start a server with its data and log in `folder`, wait until it answers; `.stop()` it.

    `options` are kmsd's, before its defaults here; `twistd` holds twistd's own.
    """
    usual = {"--hostname": "127.0.0.1", "--port": "0", "--root-data-path": str(folder)}
    named = {option.partition("=")[0] for option in options}
    place = [f"{name}={value}" for name, value in usual.items() if name not in named]
    log = folder / f"kmsd-{len(list(folder.glob('kmsd-*.log')))}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [TWISTD, "--nodaemon", "--pidfile=", *twistd, "kmsd", *place, *options],
            cwd=folder,
            env=clean_environment(folder, **variables),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    kmsd = Kmsd(process, folder, log)
    try:
        kmsd.wait_until_it_answers()
    except BaseException:
        kmsd.stop(signal.SIGKILL)
        raise
    return kmsd


@pytest.fixture
def start_kmsd(tmp_path: Path) -> Iterator[StartKmsd]:
    """Start servers: `start_kmsd(*options, **variables)`, see `launch`; all stop at the end."""
    started: list[Kmsd] = []

    def start(*options: str, **more: Any) -> Kmsd:
        started.append(launch(tmp_path, *options, **more))
        return started[-1]

    yield start
    for kmsd in started:
        kmsd.stop()


@pytest.fixture
def kmsd_process(start_kmsd: StartKmsd) -> Kmsd:
    """A running server with its defaults: `.url`, `.port`, `.folder`, `.log`, `.get(path)`."""
    return start_kmsd()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="kmsd-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared reference data; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("KMSD_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the shared reference data (KMSD_SHARED; not found at {folder})")
    return folder
