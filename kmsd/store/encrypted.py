"""One SQLCipher file per tenant, opened with a key that only the client keeps.

Nothing about a secret is stored. An open database is found by a keyed hash of the whole secret, so
no other key can reach its connection; the hash's key is made anew by each process.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from kmsd.store import migrations, secret, sqlite
from kmsd.store.cache import CachedStore
from kmsd.store.dialects import SQLCIPHER
from kmsd.store.faults import Fault, description, store_error
from kmsd.store.interfaces import IStore, SecretRefused, StoreError
from kmsd.store.pool import Reactor, Threads, in_thread
from kmsd.store.secret import Secret
from kmsd.store.session import Source
from kmsd.store.sql import SqlStore

_UNFINISHED = ".new"
_UNFINISHED_SECONDS = 60.0


class Tenants:
    """The encrypted databases of a folder.

    At most `capacity` of them stay open (three file descriptors and some 200 KiB each), none
    longer than `idle_seconds` after its last use. A refusal takes `refusal_seconds`, whatever its
    reason.
    """

    def __init__(
        self,
        reactor: Reactor,
        folder: Path,
        *,
        capacity: int = 100,
        idle_seconds: float = 300.0,
        refusal_seconds: float = 0.1,
        cached_records: int = 200,
        cache_seconds: float | None = None,
        clear: bool = False,
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._refusal_seconds = refusal_seconds
        self._cached_records = cached_records
        self._cache_seconds = cache_seconds
        self._clear = clear
        self._cleared: set[int] = set()
        self._threads = Threads(8, "kmsd-tenants")
        self._salt = secrets.token_bytes(32)
        # All that anybody still uses, so that a database never has two caches; and of these the
        # ones that stay open, the longest unused first.
        self._known: WeakValueDictionary[bytes, CachedStore] = WeakValueDictionary()
        self._open: OrderedDict[bytes, tuple[CachedStore, float]] = OrderedDict()
        self._opening: dict[bytes, list[Deferred[CachedStore]]] = {}
        self._timer: IDelayedCall | None = None

    async def create(self) -> str:
        """Make a new empty database and return its secret, which is kept nowhere.

        Raises:
            StoreError: the folder cannot be written.
        """
        made = secret.new()
        await in_thread(self._reactor, self._threads, partial(_create, self._folder, made))
        return secret.written(made)

    async def select(self, text: str | None) -> IStore:
        """Return the store that a secret opens. Completes without waiting when it is open.

        Raises:
            SecretRefused: it opens none.
            StoreError: the database is damaged or cannot be used at the moment.
        """
        begun = self._reactor.seconds()
        try:
            named = secret.read(text)
            name = self._name(named)
            tenant = self._known.get(name) or await self._opened(name, named)
        except (secret.Malformed, SecretRefused):
            remaining = begun + self._refusal_seconds - self._reactor.seconds()
            await deferLater(self._reactor, max(0.0, remaining))  # type: ignore[arg-type]
            raise SecretRefused("the database secret is missing or opens no database") from None
        self._touch(name, tenant)
        return tenant

    def _name(self, named: Secret) -> bytes:
        """Return what an open database is known by: a hash that nobody else can make."""
        return hmac.digest(self._salt, named.group.to_bytes(16) + named.key, hashlib.sha256)

    async def _opened(self, name: bytes, named: Secret) -> CachedStore:
        """Open a database once, however many ask for it at the same time."""
        waiter: Deferred[CachedStore] = Deferred()
        waiters = self._opening.setdefault(name, [])
        waiters.append(waiter)
        if len(waiters) == 1:
            clear = self._clear and named.group not in self._cleared
            path = self._folder / named.file_name
            checking = in_thread(
                self._reactor, self._threads, partial(_checked, path, named.key, clear=clear)
            )
            checking.addCallback(partial(self._tenant, name, named))
            checking.addBoth(partial(self._tell, name))
        return await waiter

    def _tell(self, name: bytes, result: CachedStore | Failure) -> None:
        for waiter in self._opening.pop(name):
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    def _tenant(self, name: bytes, named: Secret, opened: tuple[Source, Any]) -> CachedStore:
        self._cleared.add(named.group)
        source, connection = opened
        tenant = CachedStore(
            SqlStore(self._reactor, source, self._threads, connection),
            self._reactor.seconds,
            self._cached_records,
            self._cache_seconds,
        )
        self._known[name] = tenant
        return tenant

    def _touch(self, name: bytes, tenant: CachedStore) -> None:
        """Note the use, and close what was not used for longest when there are too many."""
        self._open[name] = (tenant, self._reactor.seconds())
        self._open.move_to_end(name)
        while len(self._open) > self._capacity:
            self._rest_first()
        if self._timer is None:
            self._timer = self._reactor.callLater(self._idle_seconds, self._sweep)

    def _rest_first(self) -> None:
        _, (tenant, _) = self._open.popitem(last=False)
        tenant.rest()

    def _sweep(self) -> None:
        """Close what has been idle for long."""
        self._timer = None
        late = self._reactor.seconds() - self._idle_seconds
        while self._open and next(iter(self._open.values()))[1] <= late:
            self._rest_first()
        if self._open:
            soonest = next(iter(self._open.values()))[1] - late
            self._timer = self._reactor.callLater(soonest, self._sweep)

    async def close(self) -> None:
        """Finish what is under way and close every database."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tenants = list(self._known.values())
        self._open.clear()
        await gatherResults([Deferred.fromCoroutine(tenant.close()) for tenant in tenants])
        self._threads.stop()


def _create(folder: Path, made: Secret) -> None:
    """Make a tenant's file under another name and give it its own when it is complete."""
    path, unfinished = folder / made.file_name, folder / f"{made.file_name}{_UNFINISHED}"
    sqlite.create(unfinished)
    try:
        connection = sqlite.connect_encrypted(unfinished, made.key)
        try:
            migrations.apply(connection, SQLCIPHER)
        finally:
            connection.close()  # which moves everything from the log into the file
        unfinished.rename(path)  # nobody else has drawn the same 122 random bits
    except Exception as error:  # noqa: BLE001 (the drivers' errors have no common base)
        raise _told(error) from None
    finally:
        for suffix in ("", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    _synchronise(folder)


def _synchronise(folder: Path) -> None:
    """Have the folder's entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(path: Path, key: bytes, *, clear: bool) -> tuple[Source, Any]:
    """Open a tenant's file and bring its schema up to date; return how to open it, and it open.

    Raises:
        SecretRefused: there is no such file, or this is not its key.
        StoreError: it is there and cannot be used.
    """
    source = Source(SQLCIPHER, partial(sqlite.connect_encrypted, path, key))
    if not _is_database(path):
        raise SecretRefused
    try:
        connection = source.connect()
    except Exception as error:  # noqa: BLE001 (the drivers' errors have no common base)
        if sqlite.fault(error) is Fault.DAMAGED:  # its first page: the wrong key looks the same
            raise SecretRefused from None
        raise _told(error) from None
    try:
        migrations.apply(
            connection, SQLCIPHER, back_up=partial(migrations.back_up, source, path), clear=clear
        )
    except Exception as error:  # noqa: BLE001 (the drivers' errors have no common base)
        connection.close()
        raise _told(error) from None
    return source, connection


def _is_database(path: Path) -> bool:
    """Tell whether there is a file, and not a link to one elsewhere.

    An empty one would be a fresh database to any key.
    """
    return path.is_file() and not path.is_symlink() and path.stat().st_size > 0


def _told(error: Exception) -> Exception:
    """Say a driver's error in the store's words."""
    if isinstance(error, StoreError):
        return error
    return store_error(sqlite.fault(error), description(error))


def sweep_unfinished(folder: Path, now: float) -> None:
    """Remove what a process that died while it made a database has left; `now` is the time."""
    for path in folder.glob(f"*{_UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):
            if now - path.lstat().st_mtime > _UNFINISHED_SECONDS:
                path.unlink()
