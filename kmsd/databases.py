"""From options to the databases behind the doors: one for all callers, or one for each secret."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool

from kmsd.settings import DatabaseType, Settings
from kmsd.store import (
    Cache,
    Database,
    dialects,
    open_store,
    open_tenants,
    prepare,
    source_of,
    sqlite,
)
from kmsd.store.encrypted import Tenants
from kmsd.store.interfaces import EVERYONE, IStore, StoreUnavailable
from kmsd.store.session import Source

# Beside the encrypted databases, which nobody can open without their secrets: what is the server's.
_SERVER_FILE = "server.db"


@dataclass(frozen=True)
class Databases:
    """What the doors may do with the databases.

    Attributes:
        select: gives the store that a secret opens; where there is one for all, for any secret.
        probe: asks for a sign of life.
        close: finishes what is under way.
        only: the one store for all, where there is one.
        create: makes a new encrypted database and returns its secret, where there are such.
        count: how many encrypted databases there are.
    """

    select: Callable[[str | None], Awaitable[IStore]]
    probe: Callable[[], Awaitable[object]]
    close: Callable[[], Awaitable[None]]
    only: IStore | None = None
    create: Callable[[], Awaitable[str]] | None = None
    count: Callable[[], Awaitable[int]] | None = None


def open_databases(settings: Settings, reactor: Any) -> Databases:
    """Open what the settings name, empty it if that was asked for, bring its schema up to date.

    Blocks.

    Raises:
        StoreError: it cannot be used; the text says what to mend.
    """
    cache = Cache(settings.object_cache_size, settings.object_cache_seconds)
    if settings.database_type is DatabaseType.SQLITE_ENC:
        folder = settings.sqlite_folder
        tenants = open_tenants(
            reactor,
            folder,
            cache=cache,
            clear=settings.clear_database,
            capacity=settings.max_open_databases,
        )
        return _encrypted(reactor, folder, tenants)
    store = open_store(reactor, database(settings), cache=cache, clear=settings.clear_database)
    return shared(store)


def database(settings: Settings) -> Database:
    """Return the description of the one database that the settings name."""
    return Database(
        type=settings.database_type.value,
        path=settings.sqlite_folder,
        url=settings.effective_database_url,
        mysql_user_cert_file=settings.below_root(settings.mysql_user_cert_file),
        mysql_user_cert_password=settings.mysql_user_cert_password,
        max_connections=settings.max_connections,
    )


def token_source(settings: Settings) -> Source:
    """Return the database of the API tokens, its schema up to date: the one, or one beside them.

    Blocks.

    Raises:
        StoreError: it cannot be used.
    """
    if settings.database_type is not DatabaseType.SQLITE_ENC:
        source = source_of(database(settings))
        prepare(source)
        return source
    path = settings.sqlite_folder / _SERVER_FILE
    sqlite.create(path)
    source = Source(dialects.SQLITE, partial(sqlite.connect, path))
    prepare(source, path=path)
    return source


def shared(store: IStore) -> Databases:
    """Return one database for all callers: a secret changes nothing there."""

    async def select(_secret: str | None) -> IStore:
        return store

    async def probe() -> object:
        return await store.grants(EVERYONE)

    return Databases(select, probe, store.close, only=store)


def _encrypted(reactor: Any, folder: Path, tenants: Tenants) -> Databases:
    def in_thread(function: Callable[[Path], Any]) -> Callable[[], Awaitable[Any]]:
        return partial(deferToThreadPool, reactor, reactor.getThreadPool(), function, folder)

    return Databases(
        tenants.select,
        in_thread(_check_folder),
        tenants.close,
        create=tenants.create,
        count=in_thread(_count_files),
    )


def _check_folder(folder: Path) -> None:
    """Raise StoreUnavailable unless databases can be made and opened: no secret is at hand."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnavailable(f"the folder of the databases {folder} cannot be used")


def _count_files(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.name.endswith(".sqlite") for entry in entries)
