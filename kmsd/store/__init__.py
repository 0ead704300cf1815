"""Objects, labels and grants on four databases; `interfaces` is all that others need.

`open_store` opens SQLite, PostgreSQL, MySQL or MariaDB and brings its schema up to date;
`open_tenants` a folder of encrypted SQLite files, each with a secret of its own.
"""

import time
from functools import partial
from pathlib import Path

import msgspec

from kmsd.store import dialects, migrations, mysql, postgresql, sqlite
from kmsd.store.announcements import Announcements
from kmsd.store.cache import CachedStore
from kmsd.store.encrypted import Tenants, sweep_unfinished
from kmsd.store.faults import Fault, description, store_error
from kmsd.store.generation import Generation
from kmsd.store.interfaces import StoreError, StoreRefused
from kmsd.store.pool import Reactor
from kmsd.store.session import Source
from kmsd.store.sql import SqlStore

DATABASE_TYPES = ("sqlite", "sqlite-enc", "postgresql", "mysql")
SQLITE_FILE = "kms.db"


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Which database, as the settings name it. `path` is the folder of SQLite's files.

    `max_connections` (at least 3) are one for writing, one for reading objects, the rest for lists.
    """

    type: str
    path: Path = Path()
    url: str = ""
    mysql_user_cert_file: Path | None = None
    mysql_user_cert_password: str = ""
    max_connections: int = 5

    def __repr__(self) -> str:
        """Leave the URL out: it has a password."""
        return f"Database({self.type})"


class Cache(msgspec.Struct, frozen=True):
    """How many records to keep at hand; with several servers, and for how long."""

    capacity: int = 10_000
    replicated_seconds: float = 1.0


def open_store(
    reactor: Reactor,
    database: Database,
    *,
    cache: Cache | None = None,
    clear: bool = False,
    several_processes: bool = False,
) -> CachedStore:
    """Open a database, bring its schema up to date and return a store on it.

    Blocks: call it before anything listens. `clear` empties it first. `several_processes` says that
    other processes use the same SQLite file.

    Raises:
        StoreError: it cannot be opened or is not ours; the text says what to mend.
    """
    cache = cache or Cache()
    source = source_of(database)
    file = None if source.dialect.shared else database.path / SQLITE_FILE
    prepare(source, path=file, clear=clear)
    shared = Generation(Path(f"{file}-shared")) if file and several_processes else None
    lifetime = cache.replicated_seconds if source.dialect.shared or shared else None
    store = CachedStore(
        SqlStore(reactor, _sized(source, database)),
        reactor.seconds,
        cache.capacity,
        lifetime,
        shared,
    )
    if source.dialect.announce and lifetime:
        _listen(reactor, source, store)
    return store


def _sized(source: Source, database: Database) -> Source:
    """Let a store have as many connections as the settings say."""
    scans = max(1, database.max_connections - 2)
    dialect = msgspec.structs.replace(source.dialect, parallel_scans=scans)
    return Source(dialect, source.connect)


def _listen(reactor: Reactor, source: Source, store: CachedStore) -> None:
    """Have other servers' changes forgotten here, from when the reactor runs."""
    announcements = Announcements(reactor, source.connect, store.forget)
    store.on_close.append(announcements.stop)
    reactor.callWhenRunning(announcements.start)


def source_of(database: Database) -> Source:
    """Return where connections to a database come from; makes a missing SQLite file.

    Raises:
        StoreRefused: the settings do not fit together.
    """
    if database.type == "sqlite":
        path = database.path / SQLITE_FILE
        sqlite.create(path)
        return Source(dialects.SQLITE, partial(sqlite.connect, path))
    if database.type not in DATABASE_TYPES:
        raise StoreRefused(f"the database type must be one of {', '.join(DATABASE_TYPES)}")
    if not database.url:
        raise StoreRefused(f"the database type {database.type} needs a database URL")
    if database.type == "postgresql":
        connect = partial(postgresql.connect, postgresql.arguments(database.url))
        return Source(dialects.POSTGRESQL, connect)
    place = mysql.address(database.url)
    file = database.mysql_user_cert_file
    client = mysql.identity(file, database.mysql_user_cert_password) if file else None
    name, tls = mysql.user(place, client), mysql.tls(place, client)
    return Source(dialects.MYSQL, partial(mysql.connect, place, name, tls))


def prepare(source: Source, *, path: Path | None = None, clear: bool = False) -> None:
    """Check a database and bring its schema up to date.

    Raises:
        StoreError: what is wrong with it.
    """
    try:
        connection = source.connect()
        try:
            if path is not None:
                sqlite.check(connection, path)
            back_up = partial(migrations.back_up, source, path) if path else _no_back_up
            migrations.apply(connection, source.dialect, back_up=back_up, clear=clear)
        finally:
            connection.close()
    except StoreError:
        raise
    except Exception as error:
        fault = source.dialect.fault(error)
        if fault is Fault.OTHER:
            raise
        raise store_error(fault, description(error)) from None


def _no_back_up(_number: int) -> None:
    """Leave it to the tools of the database."""


def open_tenants(
    reactor: Reactor,
    folder: Path,
    *,
    cache: Cache | None = None,
    clear: bool = False,
    several_processes: bool = False,
    capacity: int = 100,
) -> Tenants:
    """Return the encrypted databases of a folder, which is made if it is missing.

    At most `capacity` of them stay open.

    Raises:
        StoreError: the folder cannot be used.
    """
    cache = cache or Cache()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_unfinished(folder, time.time())
    except OSError as error:
        raise StoreRefused(f"cannot use the folder {folder}: {error.strerror}") from error
    return Tenants(
        reactor,
        folder,
        capacity=capacity,
        cached_records=min(cache.capacity, 200),
        cache_seconds=cache.replicated_seconds if several_processes else None,
        clear=clear,
    )
