"""What the machine itself can do, and how quietly: the figures to hold ours against."""

from __future__ import annotations

import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MESSAGE = bytes(500)
GAUGE_SECONDS = 0.05
# Above either of these, only ratios mean anything.
NOISY = 1.5  # p90 / median of the gauge's wall time
BUSY = 0.3  # cores that others keep busy


def reference() -> dict[str, str | float]:
    """Name the machine and measure it: AES-256-GCM by OpenSSL, an echo over loopback."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "openssl_aes_256_gcm_64_B_per_second": _openssl(),
        "loopback_echo_500_B_per_second": _echo(),
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _openssl() -> float:
    """Encryptions of 64 bytes per second on one core."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", "64", "-evp", "aes-256-gcm"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0.0
    found = re.search(r"^AES-256-GCM\s+([\d.]+)k", ran.stdout, re.MULTILINE | re.IGNORECASE)
    return round(float(found[1]) * 1000 / 64) if found else 0.0


def _echo(seconds: float = 1.0) -> float:
    """Round trips per second on one connection, between this process and another."""
    code = (
        "import socket, sys\n"
        "c = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "while d := c.recv(4096): c.sendall(d)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        with subprocess.Popen([sys.executable, "-c", code, port]):
            connection, _ = listening.accept()
            with connection:
                return round(_round_trips(connection, seconds) / seconds)


def _round_trips(connection: socket.socket, seconds: float) -> int:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.sendall(MESSAGE)
        received = 0
        while received < len(MESSAGE):
            received += len(connection.recv(4096))
        count += 1
    return count


class Gauge:
    """A fixed amount of work, timed between the rounds: it tells when others disturb us."""

    def __init__(self) -> None:
        self._loops = 100_000
        self._loops = max(1, int(self._loops * GAUGE_SECONDS / self._time()))
        self.walls: list[float] = []

    def _time(self) -> float:
        started, value = time.perf_counter(), 0
        for each in range(self._loops):
            value ^= each
        return time.perf_counter() - started

    def read(self) -> None:
        """Take the time once."""
        self.walls.append(self._time())

    def unrest(self) -> float:
        """Say how much the work's time varied: p90 over median, 1.0 on a quiet machine."""
        if len(self.walls) < 2:  # noqa: PLR2004 - too few to vary
            return 1.0
        return statistics.quantiles(self.walls, n=10)[8] / statistics.median(self.walls)


class Others:
    """The cores that other programs keep busy meanwhile."""

    def __init__(self, own_cpu_seconds: Callable[[], float]) -> None:
        self._own = own_cpu_seconds
        self._start = self._now()

    def _now(self) -> tuple[float, float]:
        user, nice, system, _idle, _wait, irq, softirq, *_ = _cpu_ticks()
        busy = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy - self._own() - sum(os.times()[:4])

    def load(self) -> float:
        """Say how many cores they took on average since the start."""
        (began, before), (now, after) = self._start, self._now()
        return max(0.0, after - before) / (now - began)


def _cpu_ticks() -> list[int]:
    """The machine's CPU time, by what it was spent on (proc(5), /proc/stat)."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    return [int(each) for each in first.split()[1:]]


class Sampler(threading.Thread):
    """Calls a check ten times a second while a load runs; the first failure is kept."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._check, self._over = check, threading.Event()
        self.count = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        while self.failure is None and not self._over.wait(0.1):
            try:
                self._check()
                self.count += 1
            except BaseException as error:  # noqa: BLE001 - whatever it is, the run is invalid
                self.failure = error

    def finish(self) -> int:
        """Stop; give the number of answers that were looked at; raise what went wrong."""
        self._over.set()
        self.join()
        if self.failure is not None:
            raise self.failure
        return self.count
