"""Several servers or processes on one database: what one changes, the others' caches let go of."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from twisted.internet.task import deferLater

from kmsd.store import Cache, Database, open_store
from kmsd.store.announcements import Announcements
from kmsd.store.cache import CachedStore
from kmsd.store.generation import Generation
from kmsd.store.interfaces import Insert, Record, Replace, StoreRefused
from kmsd.store.session import Source
from tests.databases import MariaDB, PostgreSQL
from tests.reactor import ensureDeferred, reactor
from tests.records import changed, record


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds)


async def found(store: CachedStore, uid: str = "a") -> Record:
    record = await store.get(uid)
    assert record
    return record


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    """Wait for a condition; return how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        await pause(0.005)
    return time.monotonic() - begun


@ensureDeferred
async def test_processes_on_one_sqlite_file(tmp_path: Path) -> None:
    """A change by one process is seen by the very next read of another, hit or not."""
    database = Database(type="sqlite", path=tmp_path)
    stores = [open_store(reactor, database, several_processes=True) for _ in range(3)]
    await stores[0].write(Insert(record("a")))
    for number in range(20):
        writer, reader = stores[number % 3], stores[(number + 1) % 3]
        before = await found(reader)
        assert reader.peek("a") is before
        await writer.write(Replace(changed(before, comment=f"{number}")))
        assert (await found(reader)).attributes.comment == f"{number}"
    await stores[1].grant("a", "bob", frozenset({"get"}))
    assert (await found(stores[2])).grants == {"bob": frozenset({"get"})}
    for store in stores:
        await store.close()


@ensureDeferred
async def test_changes_on_postgresql_are_announced(postgresql: PostgreSQL) -> None:
    """A change by one server reaches the other's cache long before its entries end."""
    database = Database(type="postgresql", url=postgresql.new_url())
    cache = Cache(replicated_seconds=3600)
    here, there = (open_store(reactor, database, cache=cache) for _ in range(2))
    await pause(0.3)  # both listen
    await here.write(Insert(record("a")), Insert(record("b")))
    await pause(0.1)
    kept = await found(there, "b")
    delays = []
    for number in range(5):
        before = await found(there)
        await here.write(Replace(changed(before, comment=f"{number}")))
        delays.append(await until(lambda: there.peek("a") is None))
        assert (await found(there)).attributes.comment == f"{number}"
    assert there.peek("b") is kept
    assert min(delays) < 0.2
    await here.ungrant("a", "nobody", frozenset({"get"}))
    await until(lambda: there.peek("a") is None)
    await here.close()
    await there.close()


@ensureDeferred
async def test_a_broken_listener_forgets_and_listens_again(postgresql: PostgreSQL) -> None:
    """When the connection that listens is lost, all that is at hand is dropped; it is made anew."""
    url = postgresql.new_url()
    database = Database(type="postgresql", url=url)
    store = open_store(reactor, database, cache=Cache(replicated_seconds=3600))
    other = open_store(reactor, database)
    await pause(0.3)
    await store.write(Insert(record("a")))
    await pause(0.1)
    await found(store)
    postgresql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )
    await until(lambda: store.peek("a") is None)
    await pause(0.5)
    before = await found(store)
    await other.write(Replace(changed(before, comment="new")))
    await until(lambda: store.peek("a") is None)
    await store.close()
    await other.close()


@ensureDeferred
async def test_a_change_on_mariadb_is_seen_in_time(mariadb: MariaDB) -> None:
    """Without announcements a change bites on the other server within the documented time."""
    database = Database(type="mysql", url=mariadb.new_url())
    here, there = (
        open_store(reactor, database, cache=Cache(replicated_seconds=0.3)) for _ in range(2)
    )
    await here.write(Insert(record("a")))
    before = await found(there)
    await here.write(Replace(changed(before, comment="new")))
    begun = time.monotonic()
    while (await found(there)).attributes.comment != "new":
        await pause(0.01)
    assert time.monotonic() - begun < 0.4
    await here.close()
    await there.close()


def test_numbers_of_processes(tmp_path: Path) -> None:
    """Each has its own; one's own change is no news; a number that is given back is used again."""
    file = tmp_path / "shared"
    first, second = Generation(file), Generation(file)
    assert (first.changed_elsewhere(), second.changed_elsewhere()) == (False, False)
    first.change()
    assert (first.changed_elsewhere(), second.changed_elsewhere()) == (False, True)
    assert second.changed_elsewhere() is False
    first.close()
    third = Generation(file)
    third.change()
    assert second.changed_elsewhere() is True
    third.close()
    second.close()


def test_more_processes_than_numbers_are_refused(tmp_path: Path) -> None:
    """The 257th process is told, rather than left to serve old records."""
    with contextlib.ExitStack() as stack:
        for _ in range(256):
            stack.callback(Generation(tmp_path / "shared").close)
        with pytest.raises(StoreRefused, match="256"):
            Generation(tmp_path / "shared")


@ensureDeferred
async def test_listening_survives_a_server_that_is_away(sources: Any) -> None:
    """While nobody can be reached the listener tries again, and stops when it is told to."""
    source: Source = sources("postgresql")
    tries: list[float] = []
    heard: list[Any] = []

    def connect() -> Any:
        tries.append(time.monotonic())
        if len(tries) < 2:
            raise psycopg2.OperationalError
        return source.connect()

    announcements = Announcements(reactor, connect, heard.append)
    announcements.start()
    announcements.start()
    await until(lambda: heard == [None])
    with contextlib.closing(source.connect()) as connection, connection.cursor() as cursor:
        for payload in ('["a","b"]', "", "not json"):
            cursor.execute("SELECT pg_notify('kmsd', %s)", (payload,))
    await until(lambda: heard == [None, ["a", "b"], None, None])
    announcements.stop()
    away = Announcements(reactor, lambda: 1 / 0, heard.append)
    away.start()
    await pause(0.1)
    away.stop()
    never = Announcements(reactor, source.connect, heard.append)
    never.stop()
    never.start()
    assert len(tries) == 2
