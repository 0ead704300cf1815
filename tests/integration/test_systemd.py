"""The units in deploy/, and what the server tells the service manager."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import pki

DEPLOY = Path(__file__).parents[2] / "deploy"
ROOT = pki.authority("root")

needs_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units, with a program that exists here: systemd-analyze looks for it."""
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in DEPLOY.glob("kmsd.s*"):
        text = unit.read_text().replace("/opt/kmsd/bin/twistd", "/bin/true")
        (folder / unit.name).write_text(text)
    return folder


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@needs_analyze
def test_the_units_are_well_formed(units: Path) -> None:
    """systemd finds nothing to say about service and socket."""
    files = [str(each) for each in sorted(units.iterdir())]
    assert [Path(each).name for each in files] == ["kmsd.service", "kmsd.socket"]
    assert analyze("verify", *files) == ""


@needs_analyze
def test_the_service_is_hardly_exposed(units: Path) -> None:
    """systemd's own measure of exposure is at most 2.0 of 10."""
    said = analyze("security", "--offline=true", str(units / "kmsd.service"))
    found = re.search(r"Overall exposure level for kmsd\.service: ([\d.]+)", said)
    assert found is not None
    print(f"exposure {found[1]}")  # noqa: T201
    assert float(found[1]) <= 2.0


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def kmsd(
    folder: Path, endpoint: str, *before: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `twistd kmsd` on `endpoint`."""
    (folder / "server.p12").write_bytes(pki.issue(ROOT, "localhost").p12(ROOT.certificate))
    twistd = [sys.executable, str(Path(sys.executable).with_name("twistd"))]
    with (folder / "kmsd.log").open("wb") as log:
        process = subprocess.Popen(
            [*before, *twistd, "--nodaemon", "--pidfile=", "kmsd", f"--endpoint={endpoint}",
             f"--root-data-path={folder / 'data'}"],
            env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def get(port: int, path: str = "/health") -> str:
    """GET over TLS, trying until the server listens."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    for _ in range(200):
        try:
            raw = socket.create_connection(("127.0.0.1", port), timeout=10)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    with raw, context.wrap_socket(raw, server_hostname="localhost") as wrapped:
        wrapped.sendall(f"GET {path} HTTP/1.1\r\nHost: kms\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: wrapped.recv(4096), b"")).decode()


def test_start_reload_and_stop_are_told(tmp_path: Path) -> None:
    """READY comes when the port answers, RELOADING and READY on SIGHUP, STOPPING at the end."""
    port = free_port()
    endpoint = f"kmsd-p12:{tmp_path / 'server.p12'}:tcp:{port}:interface=127.0.0.1"
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(20)
        with kmsd(tmp_path, endpoint, NOTIFY_SOCKET=str(address)) as process:
            ready = manager.recv(4096).decode().split("\n")
            assert ready == ["READY=1", f"MAINPID={process.pid}"]
            assert "200" in get(port)
            process.send_signal(signal.SIGHUP)
            reloading = manager.recv(4096).decode()
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)
            assert manager.recv(4096).decode().split("\n")[0] == "READY=1"
        assert manager.recv(4096).decode() == "STOPPING=1"


@pytest.mark.skipif(
    not shutil.which("systemd-socket-activate"), reason="needs systemd-socket-activate"
)
def test_a_socket_of_the_service_manager_serves_its_first_client(tmp_path: Path) -> None:
    """The client that caused the start is answered, over TLS, by the server it started."""
    port = free_port()
    name = "systemd-socket-activate"
    activate = [name, "-l", f"127.0.0.1:{port}", "--fdname=kmsd"]
    endpoint = f"kmsd-p12:{tmp_path / 'server.p12'}:systemd:domain=INET:name=kmsd"
    with kmsd(tmp_path, endpoint, *activate):
        assert "200" in get(port)


def test_a_socket_that_was_not_handed_over_is_named(tmp_path: Path) -> None:
    """Started without the service manager, the server says so in one line and ends with 1."""
    endpoint = f"kmsd-p12:{tmp_path / 'server.p12'}:systemd:domain=INET:name=kmsd"
    with kmsd(tmp_path, endpoint) as process:
        assert process.wait(20) == 1
    assert "the service manager handed over no socket" in (tmp_path / "kmsd.log").read_text()


def allowed_calls(unit: Path) -> set[str]:
    """Return the system calls that the unit's filters leave."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit.read_text(), re.MULTILINE):
        names = set().union(*(members(each) for each in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def members(name: str) -> set[str]:
    """Return the system calls of a set, which may hold other sets."""
    if not name.startswith("@"):
        return {name}
    lines = analyze("syscall-filter", name).split("\n")
    inner = {each.strip() for each in lines if each.startswith("    ") and "#" not in each}
    return set().union(*(members(each) for each in inner))


@needs_analyze
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_the_server_keeps_within_the_allowed_system_calls(tmp_path: Path) -> None:
    """Start, TLS, a request, a new object's fsync, reload and stop need no filtered call."""
    port = free_port()
    endpoint = f"kmsd-p12:{tmp_path / 'server.p12'}:tcp:{port}:interface=127.0.0.1"
    trace = tmp_path / "trace"
    with kmsd(tmp_path, endpoint, "strace", "-f", "-qq", "-o", str(trace)) as process:
        assert "200" in get(port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for number in (signal.SIGHUP, signal.SIGTERM):
            time.sleep(1)
            os.kill(int(children[0]), number)
        process.wait(20)
    text = trace.read_text()
    calls = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]", text, re.MULTILINE))
    assert len(calls) > 40
    # SQLite hands its files to the database's owner when it runs as root, as this test may.
    as_root = {"fchown"} if os.geteuid() == 0 else set()
    assert calls - allowed_calls(DEPLOY / "kmsd.service") <= as_root
