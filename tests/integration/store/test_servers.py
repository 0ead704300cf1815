"""PostgreSQL and MariaDB that are killed, restarted, paused, unreachable, or cut off mid-commit."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from kmsd.store import Database, prepare, source_of
from kmsd.store.interfaces import (
    Insert,
    ObjectExists,
    Query,
    Replace,
    StaleRecord,
    StoreRefused,
    StoreUnavailable,
)
from kmsd.store.session import Source
from kmsd.store.sql import SqlStore
from tests.databases import MariaDB, PostgreSQL, Server
from tests.integration.store.line import Line
from tests.reactor import ensureDeferred, reactor
from tests.records import changed, record

TYPES = ("postgresql", "mysql")


@pytest.fixture(params=TYPES)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """A server of the test's own, for it to hurt."""
    made = PostgreSQL() if request.param == "postgresql" else MariaDB()
    made.start()
    yield request.param, made
    made.remove()


@pytest.fixture(params=TYPES)
def reached(request: pytest.FixtureRequest) -> Iterator[tuple[Source, Line]]:
    """A database behind a line that can be cut."""
    name = "postgresql" if request.param == "postgresql" else "mariadb"
    shared: Server = request.getfixturevalue(name)
    with Line(shared.port) as line:
        url = shared.new_url().replace(f":{shared.port}/", f":{line.port}/")
        plain = "?sslmode=disable" if request.param == "postgresql" else "?ssl-mode=DISABLED"
        source = source_of(Database(type=request.param, url=url + plain))
        prepare(source)
        yield source, line


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds)


async def write_until_told(
    store: SqlStore, done: list[str], running: Callable[[], bool], failures: list[float]
) -> None:
    """Insert pairs and count with each; note what was acknowledged and how long failures took."""
    number = 0
    while running():
        number += 1
        uid = f"{id(done)}-{number}"
        begun = time.monotonic()
        try:
            await store.write(Insert(record(uid)), Insert(record(f"{uid}_pk")))
            await store.reserve("all", "count", 1)
            done.append(uid)
        except StoreUnavailable:
            failures.append(time.monotonic() - begun)


async def recovery(store: SqlStore) -> float:
    """Return how long it takes until the store writes again."""
    begun = time.monotonic()
    while True:
        try:
            await store.write(Insert(record(f"recovered {begun}")))
            return time.monotonic() - begun
        except StoreUnavailable:
            assert time.monotonic() - begun < 20


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "restarted"])
@ensureDeferred
async def test_a_server_that_dies_and_returns(server: tuple[str, Server], how: str) -> None:
    """Requests of that moment fail with a retry time; three seconds after its return all is well.

    Nothing acknowledged is lost, no pair is half, and nothing was counted twice or forgotten.
    """
    kind, database = server
    source = source_of(Database(type=kind, url=database.new_url()))
    prepare(source)
    store = SqlStore(reactor, source)
    done: list[list[str]] = [[] for _ in range(8)]
    failures: list[float] = []
    stop = False
    writers = [
        Deferred.fromCoroutine(write_until_told(store, each, lambda: not stop, failures))
        for each in done
    ]
    await pause(0.5)
    orderly = {"postgresql": signal.SIGINT, "mysql": signal.SIGTERM}[kind]
    database.stop(signal.SIGKILL if how == "killed" else orderly)
    with pytest.raises(StoreUnavailable):
        await store.get("anything")
    await pause(1)
    database.start()
    assert await recovery(store) < 3
    await pause(0.5)
    stop = True
    await gatherResults(writers)
    acknowledged = {uid for each in done for uid in each}
    present = {each.unique_identifier for each in await store.scan("", 1_000_000)}
    pairs = {uid for uid in present if not uid.startswith("recovered")}
    assert acknowledged <= present
    assert all(f"{uid}_pk" in pairs or uid.removesuffix("_pk") in pairs for uid in pairs)
    assert len(acknowledged) > 20
    assert failures
    assert max(failures) < 10
    assert await store.reserve("all", "count", 0) >= len(acknowledged)
    await store.close()


@pytest.mark.slow
@ensureDeferred
async def test_a_server_that_is_paused(server: tuple[str, Server]) -> None:
    """A server that falls silent costs its requests at most ten seconds; then it serves again."""
    kind, database = server
    source = source_of(Database(type=kind, url=database.new_url()))
    prepare(source)
    store = SqlStore(reactor, source)
    await store.write(Insert(record("a")))
    assert await store.get("a")
    database.send(signal.SIGSTOP)
    if kind == "postgresql":  # the process of our connection, too
        stop_children(database, signal.SIGSTOP)
    begun = time.monotonic()
    waiting: list[Deferred[Any]] = [
        Deferred.fromCoroutine(store.get("a")),
        Deferred.fromCoroutine(store.write(Insert(record("b")))),
    ]
    for each in waiting:
        with pytest.raises(StoreUnavailable):
            await each
    assert time.monotonic() - begun < 15
    if kind == "postgresql":
        stop_children(database, signal.SIGCONT)
    database.send(signal.SIGCONT)
    assert await recovery(store) < 3
    assert await store.get("a")
    await store.close()


def stop_children(server: Server, number: int) -> None:
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for child in children.read_text().split():
        os.kill(int(child), number)


# A commit whose answer is lost


@ensureDeferred
async def test_a_commit_that_happened_is_not_repeated(reached: tuple[Source, Line]) -> None:
    """The line breaks after the server got COMMIT: the write counts once and is acknowledged."""
    source, line = reached
    store = SqlStore(reactor, source)
    assert await store.reserve("a", "count", 1) == 0
    line.cut_after(b"COMMIT")
    assert await store.reserve("a", "count", 1) == 1
    line.cut_after(b"COMMIT")
    await store.write(Insert(record("x")), Insert(record("y")))
    assert line.cuts == 2
    assert await store.reserve("a", "count", 0) == 2
    assert sorted(await store.get_many(["x", "y"])) == ["x", "y"]
    await store.close()


@ensureDeferred
async def test_a_commit_that_did_not_happen_is_repeated(reached: tuple[Source, Line]) -> None:
    """The line breaks before the server got COMMIT: the write is done again, once."""
    source, line = reached
    store = SqlStore(reactor, source)
    assert await store.reserve("a", "count", 1) == 0
    line.cut_before(b"COMMIT")
    assert await store.reserve("a", "count", 1) == 1
    assert line.cuts == 1
    assert await store.reserve("a", "count", 0) == 2
    await store.close()


@ensureDeferred
async def test_refusals_of_a_lost_commit_stand(reached: tuple[Source, Line]) -> None:
    """Of a group whose COMMIT was cut the ones that failed by themselves fail, the rest count."""
    source, line = reached
    store = SqlStore(reactor, source)
    await store.write(Insert(record("taken")))
    line.cut_after(b"COMMIT")
    names = ["taken" if n == 3 else f"{n}" for n in range(6)]
    group = [Deferred.fromCoroutine(store.write(Insert(record(name)))) for name in names]
    for name, each in zip(names, group, strict=True):
        if name == "taken":
            with pytest.raises(ObjectExists):
                await each
        else:
            await each
    assert (await store.find(Query())).total == 6
    await store.close()


@ensureDeferred
async def test_each_statement_cut_once(reached: tuple[Source, Line]) -> None:
    """Wherever in a write the line breaks, the write is done exactly once."""
    source, line = reached
    store = SqlStore(reactor, source)
    await store.write(Insert(record("a")))
    expected = 0
    words = (b"INSERT INTO commits", b"UPDATE counters", b"INSERT INTO counters", b"SELECT value")
    for word in words:
        for cut in (line.cut_before, line.cut_after):
            cut(word)
            assert await store.reserve("a", "count", 1) == expected
            expected += 1
    for word in (b"FROM objects", b"SELECT o.uid"):
        line.cut_before(word)
        assert await store.get("a")
    assert line.cuts >= 8
    await store.close()


@ensureDeferred
async def test_a_line_that_is_gone(reached: tuple[Source, Line]) -> None:
    """While nobody can be reached requests fail within ten seconds, and work again afterwards."""
    source, line = reached
    store = SqlStore(reactor, source)
    await store.write(Insert(record("a")))
    line.refusing = True
    await pause(0.2)
    begun = time.monotonic()
    for waiting in (store.get("a"), store.write(Insert(record("b"))), store.ping()):
        with pytest.raises(StoreUnavailable):
            await waiting
    assert time.monotonic() - begun < 10
    line.refusing = False
    assert await recovery(store) < 3
    assert await store.get("b") is None
    await store.close()


# Several servers on one database


@pytest.mark.parametrize("kind", TYPES)
@ensureDeferred
async def test_servers_share_a_database(kind: str, sources: Callable[[str], Source]) -> None:
    """Two stores that change the same objects and counters at once lose nothing."""
    source = sources(kind)
    stores = [SqlStore(reactor, source) for _ in range(3)]
    await stores[0].write(*(Insert(record(f"{n}")) for n in range(3)))
    seen: list[int] = []

    async def work(store: SqlStore, worker: int) -> None:
        for step in range(12):
            seen.append(await store.reserve("shared", "count", 1))
            await store.grant("0", f"{worker}-{step}", frozenset({"get"}))
            while True:
                found = await store.get(f"{step % 3}")
                assert found
                groups = (*found.attributes.object_group, f"{worker}-{step}")
                try:
                    await store.write(Replace(changed(found, object_group=groups)))
                    break
                except StaleRecord:
                    continue

    await gatherResults([Deferred.fromCoroutine(work(stores[n % 3], n)) for n in range(9)])
    assert sorted(seen) == list(range(108))
    found = await stores[0].get_many(["0", "1", "2"])
    groups = [group for each in found.values() for group in each.attributes.object_group]
    assert len(groups) == len(set(groups)) == 108
    assert len(found["0"].grants) == 108
    for store in stores:
        await store.close()


# What is refused at the start


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("wrong", ["password", "user", "database", "port"])
def test_a_wrong_url_is_refused_without_its_password(
    kind: str, wrong: str, request: pytest.FixtureRequest
) -> None:
    """A URL with something wrong in it gives an error that says so and shows no password."""
    shared: Server = request.getfixturevalue("postgresql" if kind == "postgresql" else "mariadb")
    url = shared.new_url()
    changes = {
        "password": (r"p%40ss", "secr%40t"),
        "user": (r"//kmsd", "//nobody"),
        "database": (r"/kmsd\d+$", "/absent"),
        "port": (r":\d+/", ":1/"),
    }
    expected = StoreUnavailable if wrong == "port" else StoreRefused
    with pytest.raises(expected) as caught:
        prepare(source_of(Database(type=kind, url=re.sub(*changes[wrong], url))))
    text = f"{caught.value}{caught.value.__cause__}"
    assert "p@ss" not in text
    assert "%40" not in text
    assert "secr" not in text
