"""The server put together: store, engine, routes, ports, and their orderly start and stop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.threadpool import ThreadPool

from kmsd import __version__, listeners, process
from kmsd.identity import Identity
from kmsd.operations import call
from kmsd.operations.engine import Engine
from kmsd.resources import root_resource
from kmsd.resources.channel import Limits
from kmsd.resources.health import version_text
from kmsd.resources.route import Services, one_store
from kmsd.resources.site import KmsdSite, make_site
from kmsd.settings import Settings
from kmsd.store import Cache, Database, open_store
from kmsd.store.interfaces import IStore
from kmsd.systemd import ReadinessService

T = TypeVar("T")

# RSA and other slow arithmetic: as many threads as it can use while the reactor keeps a core.
_CRYPTO_THREADS = 2

log = Logger()


class Server(MultiService):
    """A running kmsd. Its ports are open when it is made; it answers once it is started."""

    def __init__(self, settings: Settings, reactor: Any, notices: Sequence[str] = ()) -> None:
        """Open the store and the ports.

        Raises:
            StoreError: the database cannot be used.
            CannotListen: a port cannot be opened.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.observer: ILogObserver | None = None
        self._settings = settings
        self._reactor = reactor
        self._notices = notices
        self._slow = ThreadPool(0, _CRYPTO_THREADS, "kmsd-crypto")
        self._identity = identity(settings)
        self._store = store(settings, reactor)
        self._site = site(settings, engine(settings, self._offload), self._store, self._identity)
        self._ports = listeners.listen(reactor, endpoints(settings), self._site)
        ReadinessService().setServiceParent(self)  # type: ignore[no-untyped-call]

    def _offload(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        return deferToThreadPool(self._reactor, self._slow, function, *args)

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802
        """Join the application, and write its log unless twistd was told how."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)

    def startService(self) -> None:  # noqa: N802
        """Answer."""
        process.keep_memory_private()
        process.stop_on_sigterm(self._reactor)
        self._reactor.callWhenRunning(self._slow.start)
        self._reactor.callWhenRunning(self._tell)
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Accept nobody, finish what is under way, close the store."""
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        await self._site.drain(self._settings.shutdown_timeout_seconds)
        await maybeDeferred(super().stopService)
        self._slow.stop()
        await self._store.close()
        log.info("stopped")

    def _tell(self) -> None:
        log.info(
            "kmsd {version} keeps its data in {folder}",
            version=__version__,
            folder=str(self._settings.sqlite_folder),
        )
        for notice in self._notices:
            log.warn("{notice}", notice=notice)
        for port in self._ports:
            log.info("listening on {url}", url=listeners.url(port))
        self._warn_of_exposure()

    def _warn_of_exposure(self) -> None:
        exposed = [listeners.url(port) for port in self._ports if listeners.beyond_loopback(port)]
        lacking = [] if self._identity.mechanisms else ["authentication"]
        lacking += ["TLS"]
        if exposed and lacking:
            log.warn(
                "INSECURE: {urls} can be reached by other machines without {lacking}:"
                " whoever reaches it can use every key. Listen on --hostname=127.0.0.1, or put"
                " a proxy with TLS and access control before it",
                urls=", ".join(exposed),
                lacking=" and without ".join(lacking),
            )


def endpoints(settings: Settings) -> tuple[str, ...]:
    """Return the endpoint strings to listen on."""
    return settings.endpoint or (listeners.tcp(settings.hostname, settings.port),)


def store(settings: Settings, reactor: Any) -> IStore:
    """Open the database, empty it if that was asked for, and bring its schema up to date."""
    return open_store(
        reactor,
        Database(type=settings.database_type.value, path=settings.sqlite_folder),
        cache=Cache(settings.object_cache_size, settings.object_cache_seconds),
        clear=settings.clear_database,
    )


def identity(settings: Settings) -> Identity:
    """Return the rules that say who calls."""
    return Identity(
        default_username=settings.default_username,
        force_default_username=settings.force_default_username,
    )


def engine(settings: Settings, offload: call.Offload) -> Engine:
    """Return the engine."""
    return Engine(
        call.Services(
            clock=time.time,
            offload=offload,
            version=__version__,
            privileged_users=frozenset(settings.privileged_users),
            limits=call.Limits(located_items=settings.max_locate_results),
        )
    )


def site(settings: Settings, engine: Engine, store: IStore, identity: Identity) -> KmsdSite:
    """Return the factory of HTTP connections."""
    services = Services(
        engine=engine,
        stores=one_store(store),
        identity=identity,
        version=version_text(__version__),
        database_name=settings.database_type.value,
        privileged_users=frozenset(settings.privileged_users),
        cors_origins=settings.cors_allowed_origins,
    )
    made = make_site(
        root_resource(services), limits=limits(settings), access_log=settings.access_log
    )
    made.noisy = False  # the log says where it listens once, in `_tell`
    return made


def limits(settings: Settings) -> Limits:
    """Return what one HTTP connection may cost."""
    return Limits(
        roomy_body_bytes=settings.max_body_bytes,
        connections=settings.max_http_connections,
        header_seconds=settings.header_timeout_seconds,
        idle_seconds=settings.idle_timeout_seconds,
    )
