"""Corners of opening databases that the contract does not reach."""

import os
import select
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest

from kmsd.kmip.attributes import Label
from kmsd.store import (
    Database,
    encrypted,
    mysql,
    open_tenants,
    postgresql,
    prepare,
    rows,
    source_of,
    sqlite,
)
from kmsd.store.announcements import Announcements
from kmsd.store.encrypted import Tenants
from kmsd.store.interfaces import Insert, StoreDamaged, StoreRefused, StoreUnavailable
from tests.records import record
from tests.unit.store.test_pool import Reactor


class Broken:
    """A connection that cannot be set up."""

    def __init__(self) -> None:
        self.closed = 0

    def cursor(self) -> Any:
        raise ZeroDivisionError

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_connection_that_cannot_be_set_up_is_closed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure between connecting and the first use leaks no connection."""
    broken = Broken()
    if kind == "postgresql":
        monkeypatch.setattr(psycopg2, "connect", lambda **_: broken)
        connect = partial(postgresql.connect, {})
    else:
        monkeypatch.setattr(pymysql, "connect", lambda **_: broken)
        connect = partial(mysql.connect, mysql.address("mysql://u@h/d"), "u", {})
    with pytest.raises(ZeroDivisionError):
        connect()
    assert broken.closed == 1


def test_a_file_system_without_shared_memory_is_refused() -> None:
    """Where SQLite cannot keep its write-ahead log, nothing is promised."""
    closed: list[str] = []

    class OnNetwork:
        def execute(self, _statement: str) -> "OnNetwork":
            return self

        def fetchone(self) -> tuple[str]:
            return ("delete",)

        def close(self) -> None:
            closed.append("yes")

    with pytest.raises(StoreRefused, match="local file system"):
        sqlite._prepared(OnNetwork())
    assert closed == ["yes"]


def test_a_large_file_is_not_read_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check for damage is left out where it would delay the start; reads notice it anyway."""
    file = tmp_path / "kms.db"
    source = source_of(Database(type="sqlite", path=tmp_path))
    prepare(source, path=file)
    with file.open("r+b") as opened:
        opened.seek(4096 * 3)
        opened.write(b"\xff" * 4096 * 2)
    with pytest.raises(StoreDamaged):
        prepare(source, path=file)
    monkeypatch.setattr(sqlite, "_CHECKED_BYTES", 100)
    prepare(source, path=file)


def test_a_bug_is_not_called_a_fault_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception while opening is shown as it is."""
    source = source_of(Database(type="sqlite", path=tmp_path))
    monkeypatch.setattr(sqlite, "check", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        prepare(source, path=tmp_path / "kms.db")


def test_labels_that_differ_in_their_number_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One label stays of two with the same text, the one that has a number that fits."""
    made = (
        Label("n", "1", None),
        Label("n", "1", 1),
        Label("n", "1", 2),
        Label("m", "9", 1 << 70),
    )
    monkeypatch.setattr(rows, "labels", lambda _attributes: made)
    assert rows.row(record("a"), 1).labels == {("n", "1", 1), ("m", "9", None)}


def test_a_record_shows_its_name_only() -> None:
    """Neither key nor tags show in its repr, nor in that of a change."""
    assert repr(record("a", tags=("t",))) == "Record('a', version=0)"
    assert repr(Insert(record("a"))) == "Insert(record=Record('a', version=0))"


def test_a_silent_line_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that has heard nothing for a while asks the server whether it is there."""
    monkeypatch.setattr("kmsd.store.announcements._QUIET_SECONDS", 0.01)
    reading, writing = os.pipe()
    asked = threading.Event()

    class Silent:
        notifies: tuple[Any, ...] = ()

        def fileno(self) -> int:
            return reading

        def cursor(self) -> "Silent":
            return self

        def execute(self, statement: str) -> None:
            if statement == "SELECT 1":
                asked.set()

        def poll(self) -> None:
            assert not select.select([reading], [], [], 0)[0]

        def close(self) -> None:
            os.close(reading)

    announcements = Announcements(Reactor(), Silent, lambda _names: None)
    announcements.start()
    assert asked.wait(5)
    announcements.stop()
    os.close(writing)


def test_a_tenant_that_cannot_be_opened_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passing fault while a tenant's file is opened is no refusal of its secret."""
    (tmp_path / "1.sqlite").write_bytes(b"x" * 100)

    def connect(*_: object) -> None:
        error = sqlite3.OperationalError("x")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite, "connect_encrypted", connect)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        encrypted._checked(tmp_path / "1.sqlite", b"k" * 32, clear=False)


def test_a_file_that_vanishes_while_it_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that start together may sweep the same files."""
    gone = tmp_path / "1.sqlite.new"
    monkeypatch.setattr(Path, "glob", lambda *_: [gone])
    assert isinstance(open_tenants(Reactor(), tmp_path), Tenants)
