"""The four databases, each test with an empty one of them."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from kmsd.store import Database, dialects, prepare, source_of, sqlite
from kmsd.store.session import Source
from kmsd.store.sql import SqlStore
from tests.databases import MariaDB, PostgreSQL, running
from tests.reactor import async_fixture, reactor

KINDS = ("sqlite", "sqlite-enc", "postgresql", "mysql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running(PostgreSQL()) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with running(MariaDB()) as server:
        yield server


def encrypted(path: Path) -> Source:
    sqlite.create(path)
    connect = partial(sqlite.connect_encrypted, path, secrets.token_bytes(32))
    return Source(dialects.SQLCIPHER, connect)


@pytest.fixture(scope="session")
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    """A function from the kind of a database to a new and empty one."""

    def make(kind: str) -> Source:
        folder = tmp_path_factory.mktemp("store")
        if kind == "sqlite-enc":
            return encrypted(folder / "1.sqlite")
        if kind == "sqlite":
            return source_of(Database(type=kind, path=folder))
        server = request.getfixturevalue("postgresql" if kind == "postgresql" else "mariadb")
        return source_of(Database(type=kind, url=server.new_url()))

    return make


@pytest.fixture(scope="session")
def sources(empty: Callable[[str], Source]) -> Callable[[str], Source]:
    """A function from the kind of a database to one that the tests share, emptied."""
    made: dict[str, Source] = {}

    def cleared(kind: str) -> Source:
        if kind not in made:
            made[kind] = empty(kind)
        prepare(made[kind], clear=True)
        return made[kind]

    return cleared


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, sources: Callable[[str], Source]) -> Source:
    return sources(request.param)


@async_fixture
async def store(source: Source) -> AsyncIterator[SqlStore]:
    opened = SqlStore(reactor, source)
    yield opened
    await opened.close()
