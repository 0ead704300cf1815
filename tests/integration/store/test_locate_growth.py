"""Locate's cost grows with its answer, not with the number of objects, in SQLite's own steps."""

from pathlib import Path
from typing import Any

import pytest

from kmsd.kmip.enums import CryptographicAlgorithm, ObjectType, State
from kmsd.store import SQLITE_FILE, Database, locate, prepare, source_of
from kmsd.store.dialects import SQLITE, Transaction
from kmsd.store.interfaces import Query, Range
from kmsd.store.rows import COLUMNS, row
from tests.records import record

ACTIVE = frozenset({State.ACTIVE})
ALICE: dict[str, Any] = {"accessible_to": "alice", "now": 9999}

# Searches whose answer stays the same size however many objects there are.
SEARCHES = {
    "a name": Query(labels=(("Name.NameValue", "name 77"),), **ALICE),
    "a name that nobody has": Query(labels=(("Name.NameValue", "absent"),), **ALICE),
    "a name, with conditions": Query(
        labels=(("Name.NameValue", "name 77"),),
        object_type=ObjectType.SYMMETRIC_KEY,
        states=ACTIVE,
        **ALICE,
    ),
    "a tag of ten": Query(labels=(("tag", "ten 3"),), **ALICE),
    "a rare and a common tag": Query(labels=(("tag", "_kk"), ("tag", "ten 3")), **ALICE),
    "a rare tag among all objects": Query(labels=(("tag", "ten 3"),)),
    "tags that do not meet": Query(labels=(("tag", "_kk"), ("tag", "absent")), **ALICE),
    "an algorithm that nobody has": Query(
        cryptographic_algorithm=CryptographicAlgorithm.RSA, **ALICE
    ),
    "a length that nobody has": Query(
        cryptographic_algorithm=CryptographicAlgorithm.AES, cryptographic_length=512, **ALICE
    ),
    "a type that nobody has": Query(
        object_type=ObjectType.CERTIFICATE, labels=(("tag", "_kk"),), **ALICE
    ),
    "a number that nobody has": Query(ranges=(Range("KeyFormatType", 90, 99),), **ALICE),
    "what was granted": Query(accessible_to="bob"),
    "what was granted, active": Query(accessible_to="bob", states=ACTIVE, now=9999),
    "nothing of a stranger": Query(accessible_to="carol", states=ACTIVE, now=9999),
}


def filled(folder: Path, count: int) -> Any:
    """Return a connection to a database of `count` objects of alice, ten of a kind."""
    source = source_of(Database(type="sqlite", path=folder))
    prepare(source, path=folder / SQLITE_FILE)
    connection = source.connect()
    template = row(record("x"), 1).columns
    marks = ", ".join("?" * len(COLUMNS))
    connection.execute("BEGIN")
    for number in range(count):
        uid = f"{number * 2654435761 % 2**32:08x}"
        connection.execute(f"INSERT INTO objects VALUES ({marks})", (uid, *template[1:]))  # noqa: S608
        for name, value in (
            ("tag", "_kk"),
            ("tag", f"ten {number % (count // 10)}"),
            ("Name.NameValue", f"name {number}"),
        ):
            connection.execute("INSERT INTO labels VALUES (?, ?, ?, NULL)", (name, value, uid))
        if number < 5:
            connection.execute("INSERT INTO grants VALUES (?, 'bob', 'get')", (uid,))
    connection.execute("COMMIT")
    return connection


def steps(connection: Any, query: Query) -> tuple[int, int]:
    """Return how many objects a search finds, and how many steps of SQLite's machine it takes."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(step, 1)
    found = locate.find(Transaction(connection.cursor(), SQLITE), query)
    connection.set_progress_handler(None, 1)
    return found.total, count


@pytest.mark.slow
def test_searches_do_not_grow_with_the_database(tmp_path: Path) -> None:
    """With twenty times as many objects each of these searches takes about as many steps."""
    sizes = (2_000, 40_000)
    connections = [filled(tmp_path / f"{size}", size) for size in sizes]
    for name, query in SEARCHES.items():
        (small, few), (large, many) = (steps(each, query) for each in connections)
        assert small == large, name
        assert many <= few * 1.5 + 100, f"{name}: {few} steps became {many}"
    for connection in connections:
        connection.close()


@pytest.mark.slow
def test_pages_of_the_owner_do_not_grow(tmp_path: Path) -> None:
    """The first page of one's own objects costs the same in a large database."""
    from kmsd.store.sql import _OBTAINED, _OWNED

    costs = []
    for size in (2_000, 40_000):
        connection = filled(tmp_path / f"{size}", size)
        count = [0]

        def step(count: list[int] = count) -> int:
            count[0] += 1
            return 0

        connection.set_progress_handler(step, 1)
        transaction = Transaction(connection.cursor(), SQLITE)
        assert len(transaction.rows(_OWNED, "alice", 20, 0)) == 25 - 5
        assert len(transaction.rows(_OBTAINED, "bob", "*", "bob", 20, 0)) == 5
        costs.append(count[0])
        connection.close()
    assert costs[1] <= costs[0] * 1.5
