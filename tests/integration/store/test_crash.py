"""SQLite and SQLCipher under `kill -9`: what was acknowledged is there, and nothing is half."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from kmsd.store import SQLITE_FILE, open_tenants, secret, sqlite
from tests.reactor import ensureDeferred, reactor

ROUNDS = int(os.environ.get("KMSD_CRASH_ROUNDS", "25"))
ROOT = Path(__file__).parents[3]


def killed(arguments: list[str]) -> list[str]:
    """Start the writer, kill it at a random moment, and return what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.store.crashing", *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as writer:
        assert writer.stdout
        first = writer.stdout.readline()
        time.sleep(random.random() * 0.15)  # noqa: S311
        writer.kill()
        said = [first, *writer.stdout]
    return [line.strip() for line in said if line.endswith("\n")]


def check(connection: Any, facts: Iterable[str], integrity: str) -> int:
    """Compare a database with what was acknowledged; return how much that was."""
    assert connection.execute(integrity).fetchall() in ([("ok",)], [])
    versions = dict(connection.execute("SELECT uid, version FROM objects").fetchall())
    written: set[str] = set()
    unsure: set[str] = set()
    removed: set[str] = set()
    changes: set[str] = set()
    for fact in facts:
        kind, uid = fact.split()[:2]
        {"+": written, "~": unsure, "-": removed, "=": changes}[kind].add(uid)
    assert written - unsure <= set(versions)
    assert not removed & set(versions)
    assert all(versions[uid] == 2 for uid in changes)
    for uid in versions:
        assert uid.removesuffix("_pk") in versions
        assert f"{uid.removesuffix('_pk')}_pk" in versions
    orphans = "SELECT COUNT(*) FROM labels WHERE uid NOT IN (SELECT uid FROM objects)"
    assert connection.execute(orphans).fetchall() == [(0,)]
    [(labels,)] = connection.execute("SELECT COUNT(*) FROM labels WHERE name = 'tag'").fetchall()
    assert labels == 2 * len(versions)
    return len(written)


def rounds(arguments: list[str], connect: Callable[[], Any], integrity: str) -> None:
    facts: list[str] = []
    for _ in range(ROUNDS):
        facts += killed(arguments)
        connection = connect()
        count = check(connection, facts, integrity)
        connection.close()
    assert count > ROUNDS


@pytest.mark.slow
def test_sqlite_survives_being_killed(tmp_path: Path) -> None:
    """After each of many kills in the middle of writes the database is whole."""
    file = tmp_path / SQLITE_FILE
    rounds([str(tmp_path)], lambda: sqlite.connect(file), "PRAGMA integrity_check")


@pytest.mark.slow
@ensureDeferred
async def test_an_encrypted_database_survives_being_killed(tmp_path: Path) -> None:
    """The same of a tenant's file, whose pages are also authentic."""
    tenants = open_tenants(reactor, tmp_path)
    text = await tenants.create()
    await tenants.close()
    named = secret.read(text)
    file = tmp_path / named.file_name
    rounds(
        [str(tmp_path), text],
        lambda: sqlite.connect_encrypted(file, named.key),
        "PRAGMA cipher_integrity_check",
    )


@pytest.mark.slow
def test_no_half_made_database_opens(tmp_path: Path) -> None:
    """Killed while it makes databases: each one that is there is complete, each answered is there.

    What was not completed is under another name, where no secret leads, and is swept later.
    """
    begun = answered = 0
    for _ in range(ROUNDS):
        for fact in killed([str(tmp_path), "make"]):
            kind, text = fact.split()
            named = secret.read(text)
            file = tmp_path / named.file_name
            begun += kind == "?"
            answered += kind == "!"
            assert kind == "?" or file.is_file()
            if file.is_file():
                connection = sqlite.connect_encrypted(file, named.key)
                assert connection.execute("SELECT COUNT(*) FROM commits").fetchall() == [(0,)]
                connection.close()
    assert begun > answered > ROUNDS
