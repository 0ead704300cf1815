"""A fresh server in a temporary folder, on its own cores, and the CPU time it takes."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
START_SECONDS = 30
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """Where a server listens, and its process (none when somebody else started it)."""

    host: str
    port: int
    pid: int | None = None

    def cpu_seconds(self) -> float:
        """CPU time that the process and its children have taken so far; 0 when unknown."""
        return 0.0 if self.pid is None else sum(map(_cpu_seconds, _tree(self.pid)))


@functools.cache  # asked first before anything is pinned
def cores() -> tuple[set[int], set[int]]:
    """Part the machine's cores between server and client: the lower half is the server's."""
    usable = sorted(os.sched_getaffinity(0))
    half = max(1, len(usable) // 2)
    return set(usable[:half]), set(usable[half:] or usable)


@contextlib.contextmanager
def fresh(options: list[str]) -> Iterator[Server]:
    """Run ``twistd kmsd`` with its data in a temporary folder; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="kmsd-bench-") as folder:
        server = Server("127.0.0.1", _free_port())
        log = Path(folder) / "kmsd.log"
        command = _command(folder, server.port, options)
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT
            )
        os.sched_setaffinity(process.pid, cores()[0])
        try:
            _wait(process, server, log)
            yield Server(server.host, server.port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _command(folder: str, port: int, options: list[str]) -> list[str]:
    twistd = str(Path(sys.executable).with_name("twistd"))
    place = ["--hostname", "127.0.0.1", "--port", str(port), "--root-data-path", folder]
    return [twistd, "--nodaemon", "--pidfile=", "kmsd", *place, *options]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    url = f"http://{server.host}:{server.port}/version"
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    sys.exit(f"kmsd does not answer:\n{log.read_text()[-4000:]}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the program's name (proc(5), from field 3)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / TICKS if fields else 0.0


def _tree(pid: int) -> list[int]:
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {each: int(fields[1]) for each in running if (fields := _stat(each))}
    found = [pid]
    for each in found:  # grows while it is walked: children of children
        found.extend(child for child, parent in parents.items() if parent == each)
    return found
