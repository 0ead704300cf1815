"""A port that speaks TLS, from one description: with certificate files, or with ACME.

secure = secure_with_files(reactor, CertificateFiles(pkcs12=path, password=word))
secure.service.setServiceParent(application)
secure.endpoint(serverFromString(reactor, "tcp:9998")).listen(site)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorCore,
    IReactorTime,
    IStreamServerEndpoint,
)

from kmsd.tls.authorities import load_authorities
from kmsd.tls.credentials import from_pem
from kmsd.tls.reload import (
    CertificateFiles,
    FileCertificateService,
    TLSService,
    load_server_tls,
    report,
)
from kmsd.tls.server import ServerTLS, ServerTLSFactory, WrappedEndpoint

if TYPE_CHECKING:
    from kmsd.acme.bot import BotOptions, CertificateBot


@dataclass(frozen=True)
class Secure:
    """What it takes to listen with TLS.

    Attributes:
        tls: the present certificate and authorities.
        service: reloads and renews; the application must adopt it, as the first that binds.
        factory: puts the TLS layer on a protocol factory (for adopted sockets).
    """

    tls: ServerTLS
    service: IService
    factory: Callable[[IProtocolFactory], IProtocolFactory]

    def endpoint(self, inner: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """Put the TLS layer on whatever `inner` listens on."""
        return WrappedEndpoint(inner, self.factory)


def secure_with_files(
    reactor: IReactorCore, files: CertificateFiles, cipher_suites: Collection[str] = ()
) -> Secure:
    """Serve the certificate of `files`, and read them again on SIGHUP.

    Raises:
        CertificateError: they cannot be used.
    """
    clock = IReactorTime(reactor)
    tls = load_server_tls(files, tuple(cipher_suites))
    service = FileCertificateService(clock, tls, files)
    return Secure(tls, service, lambda factory: ServerTLSFactory(tls, factory, clock))


def secure_with_acme(
    reactor: IReactorCore,
    options: BotOptions,
    http01: IStreamServerEndpoint | None = None,
    authorities: Path | None = None,
    cipher_suites: Collection[str] = (),
) -> Secure:
    """Serve a certificate that ACME obtains and renews; imports txacme, hence only when called.

    Until the first certificate has come, handshakes fail with an alert.

    Raises:
        CertificateError: the file of authorities cannot be used, or a suite is unknown.
        ValueError: the host name is none.
    """
    from kmsd.acme.bot import CertificateBot

    clock = IReactorTime(reactor)
    trusted = None if authorities is None else load_authorities(authorities)
    tls = ServerTLS(None, trusted, cipher_suites)

    def serve(pem: bytes) -> None:
        credentials = from_pem(options.folder, pem)
        tls.swap(credentials, tls.authorities)
        report(credentials, int(time.time()))

    bot = CertificateBot(reactor, options, serve, http01)
    service = AcmeCertificateService(clock, tls, bot, authorities)
    return Secure(tls, service, lambda inner: bot.wrap(ServerTLSFactory(tls, inner, clock)))


class AcmeCertificateService(TLSService):
    """Serves the certificate that a bot obtains."""

    def __init__(
        self,
        reactor: IReactorTime,
        tls: ServerTLS,
        bot: CertificateBot,
        authorities: Path | None,
        **options: Any,
    ) -> None:
        super().__init__(reactor, tls, **options)
        self.bot, self._authorities = bot, authorities
        bot.setServiceParent(self)  # type: ignore[no-untyped-call]

    async def _reload(self) -> None:
        if self._authorities is not None:
            self.tls.swap(self.tls.credentials, load_authorities(self._authorities))
        await self.bot.reload()
