"""The schema: upgraded equals fresh, one at a time, never backwards, never over somebody else's."""

import contextlib
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kmsd.store import SQLITE_FILE, Database, migrations, prepare, source_of
from kmsd.store.dialects import Transaction
from kmsd.store.interfaces import StoreRefused
from kmsd.store.migrations import MIGRATIONS, Migration
from kmsd.store.session import Source
from tests.integration.store.conftest import KINDS

NEXT = MIGRATIONS[-1].number + 1
ADDED = Migration(
    NEXT,
    (
        "ALTER TABLE objects ADD COLUMN colour BIGINT",
        "CREATE TABLE extra (uid {text:128} NOT NULL PRIMARY KEY, data {blob}){table}",
        "CREATE INDEX extra_by_colour ON objects (colour)",
    ),
)
FUTURE = (*MIGRATIONS, ADDED)

DESCRIPTIONS = {
    "sqlite": "SELECT name, sql FROM sqlite_master ORDER BY name",
    "postgresql": "SELECT table_name, column_name, data_type, is_nullable, collation_name"
    " FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2",
    "mysql": "SELECT table_name, column_name, column_type, is_nullable, collation_name"
    " FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 2",
}
INDEXES = {
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = current_schema() ORDER BY 1",
    "mysql": "SELECT table_name, index_name, seq_in_index, column_name"
    " FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3",
}


def rows(source: Source, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with contextlib.closing(source.connect()) as connection:
        return Transaction(connection.cursor(), source.dialect).rows(statement, *values)


def described(source: Source) -> list[tuple[Any, ...]]:
    kind = source.dialect.name.removesuffix("-enc")
    found = rows(source, DESCRIPTIONS[kind])
    if kind in INDEXES:
        found += rows(source, INDEXES[kind])
    return found


def apply(source: Source, steps: tuple[Migration, ...], **options: Any) -> None:
    with contextlib.closing(source.connect()) as connection:
        migrations.apply(connection, source.dialect, migrations=steps, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_upgraded_equals_fresh(kind: str, empty: Callable[[str], Source]) -> None:
    """Applied one release after the other, or all at once: the schema is the same."""
    upgraded, fresh = empty(kind), empty(kind)
    backups: list[int] = []
    for count in range(1, len(FUTURE) + 1):
        apply(upgraded, FUTURE[:count], back_up=backups.append)
    apply(fresh, FUTURE, back_up=lambda _number: pytest.fail("nothing to back up"))
    assert described(upgraded) == described(fresh)
    assert backups == [step.number for step in MIGRATIONS]
    assert rows(fresh, "SELECT number FROM schema_version ORDER BY number") == [
        (step.number,) for step in FUTURE
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_schema_is_refused(kind: str, empty: Callable[[str], Source]) -> None:
    """A program that is older than the database says so and changes nothing."""
    source = empty(kind)
    apply(source, FUTURE)
    before = described(source)
    for clear in (False, True):
        with pytest.raises(StoreRefused, match=f"schema {NEXT}.*only up to {NEXT - 1}"):
            prepare(source, clear=clear)
    assert described(source) == before


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_others_are_left_alone(kind: str, empty: Callable[[str], Source]) -> None:
    """A database in which another program keeps objects is refused."""
    source = empty(kind)
    with contextlib.closing(source.connect()) as connection:
        connection.cursor().execute("CREATE TABLE objects (id BIGINT)")
    with pytest.raises(StoreRefused, match="database of its own"):
        prepare(source)
    assert rows(source, "SELECT COUNT(*) FROM objects") == [(0,)]


@pytest.mark.parametrize("kind", KINDS)
def test_clearing_empties_everything(kind: str, empty: Callable[[str], Source]) -> None:
    """After `clear` no table has a row but the one that numbers the schema."""
    source = empty(kind)
    prepare(source)
    with contextlib.closing(source.connect()) as connection:
        transaction = Transaction(connection.cursor(), source.dialect)
        transaction.run("INSERT INTO grants (uid, grantee, operation) VALUES ('a', 'b', 'c')")
        transaction.run("INSERT INTO labels (uid, name, value) VALUES ('a', 'b', 'c')")
        transaction.run("INSERT INTO counters (uid, name, value) VALUES ('a', 'b', 1)")
    prepare(source)
    assert rows(source, "SELECT COUNT(*) FROM labels") == [(1,)]
    prepare(source, clear=True)
    for table in ("grants", "labels", "counters", "objects"):
        assert rows(source, f"SELECT COUNT(*) FROM {table}") == [(0,)]  # noqa: S608


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_fails_half_way_is_resumed(kind: str, empty: Callable[[str], Source]) -> None:
    """After a crash at any statement the next start completes the schema."""
    reference = empty(kind)
    apply(reference, FUTURE)
    source = empty(kind)
    apply(source, MIGRATIONS)
    for count in range(len(ADDED.statements) + 1):
        broken = Migration(NEXT, (*ADDED.statements[:count], "SELECT FROM WHERE nonsense"))
        with pytest.raises(Exception, match=r"(?i)syntax"):
            apply(source, (*MIGRATIONS, broken))
        assert rows(source, "SELECT MAX(number) FROM schema_version") == [(NEXT - 1,)]
    apply(source, FUTURE)
    assert described(source) == described(reference)


@pytest.mark.parametrize("kind", KINDS)
def test_servers_that_start_together_migrate_once(
    kind: str, empty: Callable[[str], Source]
) -> None:
    """Ten connections at once: one makes the schema, all find it, none fails."""
    source = empty(kind)
    failures: list[BaseException] = []

    def start() -> None:
        try:
            prepare(source)
        except BaseException as error:  # noqa: BLE001 (shown below)
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(source, "SELECT COUNT(*) FROM schema_version") == [(len(MIGRATIONS),)]


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    """The same with ten processes on one new SQLite file."""
    code = (
        "import sys; from pathlib import Path; from kmsd.store import *;"
        "d = Database(type='sqlite', path=Path(sys.argv[1]));"
        "prepare(source_of(d), path=Path(sys.argv[1]) / SQLITE_FILE)"
    )
    starting = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(10)
    ]
    for process in starting:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("kind", ["sqlite", "sqlite-enc"])
def test_a_file_is_copied_before_it_is_changed(
    kind: str, empty: Callable[[str], Source], tmp_path: Path
) -> None:
    """The copy is private, opens with the same key, and has the old schema and all rows."""
    source = empty(kind)
    apply(source, MIGRATIONS)
    with contextlib.closing(source.connect()) as connection:
        connection.execute("INSERT INTO counters VALUES ('marked-uid', 'n', 1)")
        [(_, _, name)] = connection.execute("PRAGMA database_list").fetchall()
    file = Path(name)
    apply(source, FUTURE, back_up=partial(migrations.back_up, source, file))
    copy = file.with_name(f"{file.name}.schema-{NEXT - 1}")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert (b"marked-uid" in copy.read_bytes()) == (kind == "sqlite")
    file.unlink()
    copy.rename(file)
    assert rows(source, "SELECT uid FROM counters") == [("marked-uid",)]
    assert rows(source, "SELECT MAX(number) FROM schema_version") == [(NEXT - 1,)]
    assert tmp_path


def test_the_product_opens_its_file(tmp_path: Path) -> None:
    """The settings' folder gets `kms.db`."""
    database = Database(type="sqlite", path=tmp_path)
    prepare(source_of(database), path=tmp_path / SQLITE_FILE)
    with contextlib.closing(sqlite3.connect(tmp_path / SQLITE_FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
