"""Certificates from files: loaded at start, again on SIGHUP, with session keys made anew daily."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from kmsd.hangup import HANGUP, Hangup
from kmsd.tls.authorities import ClientAuthorities, load_authorities
from kmsd.tls.credentials import CertificateError, Credentials, load_pem, load_pkcs12
from kmsd.tls.server import ServerTLS

# Ticket keys live as long as their context (RFC 9325 §3.4 wants them changed at least weekly).
REFRESH_SECONDS = 24 * 3600

log = Logger()


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """Where the server's certificate is: a PKCS#12 file, or PEM files.

    Attributes:
        pkcs12: key, certificate and chain in one file.
        certificate: PEM; the chain may be in it or in `chain`.
        key: PEM; may be the same file as `certificate`.
        password: of the PKCS#12 file or of the PEM key.
        authorities: PEM; when set, clients must show a certificate signed by one of them.
    """

    pkcs12: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    chain: Path | None = None
    password: str | None = field(default=None, repr=False)
    authorities: Path | None = None

    def load(self) -> Credentials:
        """Read key and certificates. Blocks: a PKCS#12 password may take half a second.

        Raises:
            CertificateError: they cannot be used, or no file is named.
        """
        if self.pkcs12 is not None:
            return load_pkcs12(self.pkcs12, self.password)
        if self.certificate is None:
            raise CertificateError("no certificate file is named")
        key = self.key or self.certificate
        return load_pem(self.certificate, key, self.chain, self.password)

    def load_authorities(self) -> ClientAuthorities | None:
        """Read the authorities of client certificates, if there are any.

        Raises:
            CertificateError: they cannot be used.
        """
        return None if self.authorities is None else load_authorities(self.authorities)


class TLSService(MultiService):
    """Keeps a port's TLS in order: reload on SIGHUP, fresh session keys each day.

    What cannot be used leaves the old serving and says so in the log.
    """

    name = "certificates"

    def __init__(
        self,
        reactor: IReactorTime,
        tls: ServerTLS,
        hangup: Hangup = HANGUP,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor, self.tls = reactor, tls
        self._hangup, self._now = hangup, now
        self._daily = LoopingCall(tls.refresh)
        self._daily.clock = reactor

    def startService(self) -> None:  # noqa: N802
        """Begin to listen for SIGHUP."""
        super().startService()  # type: ignore[no-untyped-call]
        self._hangup.add(IReactorFromThreads(self._reactor), self.reload)
        self._daily.start(REFRESH_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Leave SIGHUP alone."""
        self._daily.stop()
        self._hangup.remove(self.reload)
        stopped: Deferred[None] = super().stopService()  # type: ignore[no-untyped-call]
        return stopped

    async def reload(self) -> None:
        """Read everything again and serve it, unless that would be worse."""
        try:
            await self._reload()
        except CertificateError as error:
            log.error("certificate not changed: {error}", error=str(error))  # noqa: TRY400

    async def _reload(self) -> None:
        raise NotImplementedError


class FileCertificateService(TLSService):
    """Serves the certificate of some files."""

    def __init__(
        self, reactor: IReactorTime, tls: ServerTLS, files: CertificateFiles, **options: Any
    ) -> None:
        super().__init__(reactor, tls, **options)
        self._files = files

    async def _reload(self) -> None:
        credentials, authorities = await deferToThread(self._load)
        now = int(self._now())
        serving = self.tls.credentials
        if credentials.expired(now) and serving is not None and not serving.expired(now):
            raise CertificateError("the new certificate is not valid now, the old one is")
        self.tls.swap(credentials, authorities)
        report(credentials, now)

    def _load(self) -> tuple[Credentials, ClientAuthorities | None]:
        return self._files.load(), self._files.load_authorities()


def load_server_tls(
    files: CertificateFiles, cipher_suites: tuple[str, ...] = (), now: float | None = None
) -> ServerTLS:
    """Load the files for the first time; what a client may refuse is logged as a warning.

    Raises:
        CertificateError: they cannot be used.
    """
    credentials = files.load()
    tls = ServerTLS(credentials, files.load_authorities(), cipher_suites)
    report(credentials, int(time.time() if now is None else now))
    return tls


def report(credentials: Credentials, now: int) -> None:
    """Log what is served from now on."""
    log.info(
        "serving the certificate of {subject}, valid until {until}",
        subject=credentials.leaf.subject.rfc4514_string() or "(no subject)",
        until=f"{credentials.leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
    )
    for warning in credentials.warnings(now):
        log.warn("certificate: {warning}", warning=warning)
