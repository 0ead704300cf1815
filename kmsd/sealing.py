"""From options to key-encryption keys: what every object in the database is sealed under."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from kmsd.databases import Databases, shared
from kmsd.operations import kek
from kmsd.operations.keys import KeyCache
from kmsd.operations.sealed_store import OpenedKeys, SealedStore, check_unsealed
from kmsd.operations.sealing import Progress, seal_all
from kmsd.settings import Settings
from kmsd.store.interfaces import StoreError, StoreRefused

SWEEP_SECONDS = 60.0
"""How often what has had its time is forgotten, and a new KEK noticed."""
_REPORT_SECONDS = 5.0
_MINUTE_SECONDS = 60
_HSM = "hsm::"

log = Logger()


@dataclass(frozen=True)
class Sealing:
    """The databases behind the KEKs, where there are any, and what goes with them.

    Attributes:
        databases: in clear to who uses them.
        keys: where the engine is to keep prepared keys.
        job: what to begin with the server, and to stop with it.
    """

    databases: Databases
    keys: KeyCache
    job: Job


def sealing(settings: Settings, databases: Databases, reactor: Any) -> Sealing:
    """Put the KEKs that the settings name before the database.

    Raises:
        StoreRefused: a KEK cannot be used, or there are as many databases as tenants.
    """
    ring = _ring(settings)
    store = databases.only
    if ring is None:
        check = None if store is None else lambda: check_unsealed(store)
        return Sealing(databases, KeyCache(), Job(None, reactor, check))
    if store is None:
        raise StoreRefused(
            "--kek-file and --key-encryption-key are for one database: those of"
            " --database-type=sqlite-enc are encrypted with the secrets of their users"
        )
    size = settings.unwrapped_cache_max_size
    lifetime_seconds = settings.unwrapped_cache_max_age * _MINUTE_SECONDS
    keys = OpenedKeys(reactor.seconds, lifetime_seconds, size)
    sealed = SealedStore(
        store, ring, reactor.seconds, lifetime_seconds=lifetime_seconds, capacity=size, keys=keys
    )
    behind = shared(sealed)
    return Sealing(
        replace(databases, select=behind.select, close=behind.close, only=sealed),
        keys,
        Job(sealed, reactor),
    )


def _ring(settings: Settings) -> kek.Ring | None:
    """Return the KEKs: the file's seal, if there is one; else the one in the database."""
    rings: list[kek.Ring] = []
    path = settings.below_root(settings.kek_file)
    if path is not None:
        rings.append(kek.FileRing(kek.read_file(path), secrets.token_bytes))
    if settings.key_encryption_key.startswith(_HSM):
        raise StoreRefused("--key-encryption-key: keys in hardware are not served yet")
    if settings.key_encryption_key:
        rings.append(kek.StoredRing(settings.key_encryption_key, secrets.token_bytes))
    return kek.Rings(*rings) if rings else None


class Job:
    """Seals what is not sealed under the present KEK, and forgets what was opened in time.

    Without a KEK it makes sure that none is needed: otherwise the server stops.
    """

    def __init__(
        self,
        store: SealedStore | None,
        reactor: Any,
        check: Callable[[], Any] | None = None,
    ) -> None:
        """Work on `store`, or do `check` once."""
        self._store = store
        self._reactor = reactor
        self._check = check
        self._sealed_under: str | None = None
        self._reported = 0.0
        self._stopped = False
        self._loop = LoopingCall(self._turn)
        self._loop.clock = reactor
        self.progress: Progress | None = None

    def begin(self) -> None:
        """Begin, in the running reactor."""
        if self._check is not None:
            ensureDeferred(self._checked(self._check))
        elif self._store is not None:
            self._loop.start(SWEEP_SECONDS).addErrback(
                lambda failure: log.failure("sealing stopped", failure)
            )

    def stop(self) -> None:
        """Let the page under way be the last."""
        self._stopped = True
        if self._loop.running:
            self._loop.stop()

    async def _checked(self, check: Callable[[], Any]) -> None:
        try:
            await check()
        except kek.KekMissing as error:
            log.critical("{error}", error=str(error))
            self._reactor.stop()
        except StoreError as error:
            log.warn("the database was not looked at: {error}", error=str(error))

    def _turn(self) -> Deferred[None]:
        return ensureDeferred(self._seal())

    async def _seal(self) -> None:
        store = self._store
        assert store is not None  # noqa: S101 (the loop runs for a store only)
        store.sweep()
        try:
            current = await store.ring.current(store.store)
            if current.identifier == self._sealed_under:
                return
            done = await seal_all(store, self._report)
        except _Stopped:
            return
        except StoreError as error:
            log.warn("not everything is sealed: {error}", error=str(error))
            return
        self._tell(done)
        self._sealed_under = done.identifier

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        if self._stopped:
            raise _Stopped
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS and progress.sealed:
            self._reported = now
            log.info(
                "sealing under {kek}: {seen} of {total} objects looked at, {sealed} sealed",
                kek=progress.identifier,
                seen=progress.seen,
                total=progress.total,
                sealed=progress.sealed,
            )

    def _tell(self, done: Progress) -> None:
        if done.failed:
            log.error(
                "{failed} of {total} objects cannot be opened with the KEKs that are here",
                failed=done.failed,
                total=done.total,
            )
        else:
            log.info(
                "all {total} objects are sealed under {kek}: older KEKs are not needed any more",
                total=done.total,
                kek=done.identifier,
            )


class _Stopped(Exception):  # noqa: N818 (it is no error)
    """The server stops."""
