"""The entry points: what twistd is handed, and how settings reach the parts."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock

from kmsd import process, server
from kmsd.app import CANNOT_START, MISCONFIGURED, Options, makeService
from kmsd.databases import open_databases
from kmsd.settings import Settings


def options(*words: str) -> Options:
    made = Options()  # type: ignore[no-untyped-call]
    made.parseOptions(list(words))
    return made


@pytest.fixture(autouse=True)
def _no_configuration_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmsd.settings.CONFIGURATION_FILES", ())


@pytest.mark.parametrize(
    ("word", "beginning"),
    [
        ("--help", "Usage: twistd"),
        ("-h", "Usage: twistd"),
        ("--version", "kmsd "),
        ("-V", "kmsd "),
        ("--print-default-config", "[http]\n# "),
        ("--info", "[http]\nport = "),
    ],
)
def test_a_command_prints_and_ends_well(
    capsys: pytest.CaptureFixture[str], word: str, beginning: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        options(word)
    shown = capsys.readouterr()
    assert (caught.value.code, shown.err) == (0, "")
    assert shown.out.startswith(beginning)


def test_help_is_shown_even_beside_a_wrong_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has made a mistake needs the help most."""
    monkeypatch.setenv("KMS_PORT", "x")
    with pytest.raises(SystemExit) as caught:
        options("--help")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("Usage")


def test_a_mistake_ends_with_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options("--port=x")
    assert caught.value.code == MISCONFIGURED
    assert capsys.readouterr().err.startswith("kmsd: --port: ")


def test_a_failed_start_ends_with_its_status(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file where the folder should be; nothing listens, and nothing is left of it."""
    (tmp_path / "file").touch()
    before = os.umask(0o022)
    try:
        made = options(f"--root-data-path={tmp_path / 'file'}", "--port=0")
        made.parent = {"nodaemon": True}  # type: ignore[assignment]
        with pytest.raises(SystemExit) as caught:
            makeService(made)
    finally:
        os.umask(before)
    assert caught.value.code == CANNOT_START
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(port=1, hostname="::1"), (r"tcp:1:interface=\:\:1:backlog=1024",)),
        (Settings(port=1, endpoint=("unix:x", "tcp:2")), ("unix:x", "tcp:2")),
    ],
)
def test_endpoints_come_from_host_and_port_or_are_named(
    settings: Settings, expected: tuple[str, ...]
) -> None:
    assert server.endpoints(settings) == expected


def test_limits_reach_the_connections() -> None:
    limits = server.limits(
        Settings(
            max_body_bytes=2048,
            max_http_connections=3,
            header_timeout_seconds=4.5,
            idle_timeout_seconds=5.5,
        )
    )
    assert limits.roomy_body_bytes == 2048
    assert (limits.connections, limits.header_seconds, limits.idle_seconds) == (3, 4.5, 5.5)


def test_clear_database_empties_it(tmp_path: Path) -> None:
    """An object of before is gone, and only then."""
    from kmsd.store import sqlite

    for clear, expected in ((False, 1), (False, 1), (True, 0)):
        open_databases(Settings(root_data_path=tmp_path, clear_database=clear), Clock())
        connection = sqlite.connect(tmp_path / "sqlite-data" / "kms.db")
        if not connection.execute("SELECT COUNT(*) FROM grants").fetchone()[0] and not clear:
            connection.execute("INSERT INTO grants VALUES ('*', 'ann', 'create')")
        assert connection.execute("SELECT COUNT(*) FROM grants").fetchone() == (expected,)
        connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_files_are_made_as_the_user_twistd_will_become(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    with process.acting_as(65534, 65533):
        (open_folder / "theirs").touch()
    (open_folder / "ours").touch()
    theirs, ours = (open_folder / "theirs").stat(), (open_folder / "ours").stat()
    assert (theirs.st_uid, theirs.st_gid) == (65534, 65533)
    assert (ours.st_uid, ours.st_gid) == (0, 0)


class Stopping(Clock):
    """A reactor that has a signal handler's way in, and counts how often it is stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1
        if self.stopped > 1:
            raise ReactorNotRunning

    def callFromThread(self, function: Any) -> None:  # noqa: N802
        self.callLater(0, function)

    def callWhenRunning(self, function: Any) -> None:  # noqa: N802
        self.callLater(0, function)


def test_sigterm_stops_the_reactor_and_may_come_twice() -> None:
    before = signal.getsignal(signal.SIGTERM)
    clock = Stopping()
    try:
        process.stop_on_sigterm(clock)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            clock.advance(0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert clock.stopped == 2
