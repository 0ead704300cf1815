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
from kmsd.authentication import authentication, notices
from kmsd.databases import Databases, open_databases
from kmsd.identity import Identity
from kmsd.operations import call
from kmsd.operations.engine import Engine
from kmsd.operations.keys import KeyCache
from kmsd.operations.slow import Bounded
from kmsd.protocol import KmipFactory
from kmsd.protocol.door import Door
from kmsd.resources import root_resource
from kmsd.resources.channel import Limits
from kmsd.resources.databases import NewDatabases
from kmsd.resources.health import version_text
from kmsd.resources.route import Services
from kmsd.resources.site import KmsdSite, make_site
from kmsd.sealing import sealing
from kmsd.secure import secure
from kmsd.settings import Settings
from kmsd.systemd import ReadinessService
from kmsd.tls.endpoints import speaks_tls

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
            CertificateError: a certificate cannot be used.
            CannotListen: a port cannot be opened.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.observer: ILogObserver | None = None
        self._settings = settings
        self._reactor = reactor
        self._notices = notices
        self._slow = ThreadPool(0, _CRYPTO_THREADS, "kmsd-crypto")
        self._secure = secure(settings, reactor)
        self._sealing = sealing(settings, open_databases(settings, reactor), reactor)
        self._databases = self._sealing.databases
        self._authentication = authentication(settings, reactor, self._databases)
        self._identity = self._authentication.identity
        made = engine(settings, Bounded(self._offload), self._sealing.keys)
        self._site = site(settings, made, self._databases, self._identity, reactor.seconds)
        self._kmip = kmip_factory(settings, made, self._databases, self._identity)
        self._ports = listeners.listen(reactor, endpoints(settings), self._site, self._secure)
        self._kmip_ports = listeners.listen(
            reactor, kmip_endpoints(settings), self._kmip, self._secure
        )
        if self._secure is not None:
            self._secure.service.setServiceParent(self)
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
        self._reactor.callWhenRunning(self._warm_up)
        self._reactor.callWhenRunning(self._sealing.job.begin)
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Accept nobody, finish what is under way, close the store."""
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        for port in (*self._ports, *self._kmip_ports):
            await maybeDeferred(port.stopListening)
        patience = self._settings.shutdown_timeout_seconds
        draining = ensureDeferred(self._kmip.drain(self._reactor, patience))
        await self._site.drain(patience)
        await draining
        await maybeDeferred(super().stopService)
        self._sealing.job.stop()
        self._slow.stop()
        for close in self._authentication.close:
            await close()
        await self._databases.close()
        log.info("stopped")

    def _warm_up(self) -> None:
        for begin in self._authentication.warm_up:
            ensureDeferred(begin()).addErrback(
                lambda failure: log.failure("not ready to tell who calls", failure)
            )

    def _tell(self) -> None:
        kind = self._settings.database_type
        log.info(
            "kmsd {version} keeps its data in {place}",
            version=__version__,
            place=str(self._settings.sqlite_folder) if kind.is_file else kind.value,
        )
        for notice in (*self._notices, *notices(self._settings)):
            log.warn("{notice}", notice=notice)
        for port, description in zip(self._ports, endpoints(self._settings), strict=True):
            has_tls = self._secure is not None or speaks_tls(description)
            url = listeners.url(port, "https" if has_tls else "http")
            log.info("listening on {url}", url=url)
            if listeners.beyond_loopback(port):
                self._warn_of_exposure(url, has_tls=has_tls)
        for port in self._kmip_ports:
            log.info("listening on {url}", url=listeners.url(port, "kmip"))

    def _warn_of_exposure(self, url: str, *, has_tls: bool) -> None:
        lacking = {
            "authentication: whoever reaches it can use every key": self._identity.mechanisms,
            "TLS: keys and data can be read on the way": has_tls,
        }
        missing = [what for what, there in lacking.items() if not there]
        if missing:
            log.warn(
                "INSECURE: {url} can be reached by other machines without {missing}."
                " Listen on --hostname=127.0.0.1, or see --https-p12-file, --authority-cert-file,"
                " --jwt-issuer-uri and --api-tokens",
                url=url,
                missing=", and without ".join(missing),
            )


def endpoints(settings: Settings) -> tuple[str, ...]:
    """Return the endpoint strings to listen on."""
    return settings.endpoint or (listeners.tcp(settings.hostname, settings.port),)


def kmip_endpoints(settings: Settings) -> tuple[str, ...]:
    """Return the endpoint strings to listen on for binary KMIP."""
    if not settings.socket_server_start:
        return ()
    return (listeners.tcp(settings.socket_server_hostname, settings.socket_server_port),)


def kmip_factory(
    settings: Settings, engine: Engine, databases: Databases, identity: Identity
) -> KmipFactory:
    """Return the factory of binary KMIP connections."""
    return KmipFactory(
        Door(engine, databases.select, identity).answer,
        maximum_bytes=settings.max_body_bytes,
        idle_seconds=settings.socket_idle_timeout_seconds,
        maximum_connections=settings.max_socket_connections,
    )


def engine(settings: Settings, offload: call.Offload, keys: KeyCache) -> Engine:
    """Return the engine, which keeps prepared keys in `keys`."""
    return Engine(
        call.Services(
            clock=time.time,
            offload=offload,
            version=__version__,
            privileged_users=frozenset(settings.privileged_users),
            limits=call.Limits(located_items=settings.max_locate_results),
            keys=keys,
        )
    )


def site(
    settings: Settings,
    engine: Engine,
    databases: Databases,
    identity: Identity,
    seconds: Callable[[], float],
) -> KmsdSite:
    """Return the factory of HTTP connections; `seconds` is a clock that is never put back."""
    services = Services(
        engine=engine,
        stores=databases.select,
        identity=identity,
        version=version_text(__version__),
        database_name=settings.database_type.value,
        privileged_users=frozenset(settings.privileged_users),
        cors_origins=settings.cors_allowed_origins,
        probe=databases.probe,
        new_databases=new_databases(settings, databases, seconds),
    )
    made = make_site(
        root_resource(services), limits=limits(settings), access_log=settings.access_log
    )
    made.noisy = False  # the log says where it listens once, in `_tell`
    return made


def new_databases(
    settings: Settings, databases: Databases, seconds: Callable[[], float]
) -> NewDatabases | None:
    """Return who makes encrypted databases, where there are such and it is not switched off."""
    off = settings.new_database_limit == 0
    if databases.create is None or databases.count is None or off:
        return None
    return NewDatabases(
        databases.create,
        databases.count,
        seconds,
        limit=settings.new_database_limit,
        per_minute=settings.new_database_rate,
    )


def limits(settings: Settings) -> Limits:
    """Return what one HTTP connection may cost."""
    return Limits(
        roomy_body_bytes=settings.max_body_bytes,
        connections=settings.max_http_connections,
        header_seconds=settings.header_timeout_seconds,
        idle_seconds=settings.idle_timeout_seconds,
    )
