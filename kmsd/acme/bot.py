"""The certificate bot: keeps a host name's certificate on disk and in service.

Several processes may share a folder (the workers of one server, two containers on one volume): one
of them, whoever holds the lock, talks to the authority; the others take up what it writes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from treq.client import HTTPClient
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool

from kmsd.acme.client import AcmeClient
from kmsd.acme.http01 import Http01Responder
from kmsd.acme.jose import AccountKey
from kmsd.acme.service import IssuingService, Validity
from kmsd.acme.store import PrivateStore, account_key, host_name, private_folder
from kmsd.acme.tls_alpn import ChallengeFactory, PendingChallenges, TlsAlpn01Responder

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
FOLLOW_SECONDS = 2
CONNECT_SECONDS = 15

log = Logger()


@dataclass(frozen=True, kw_only=True)
class BotOptions:
    """What the bot must know.

    Attributes:
        server_name: the host name in the certificate.
        email: where the authority writes to; may be empty.
        folder: keys and certificates; made when absent.
        directory_url: the authority's directory.
        directory_ca: PEM of who signs for the directory's host; None: the system's authorities.
    """

    server_name: str
    email: str
    folder: Path
    directory_url: str = LETS_ENCRYPT
    directory_ca: Path | None = None


class CertificateBot(MultiService):
    """Obtains, keeps, renews and serves the certificate of one host name.

    `serve` is given key and chain as one PEM text, at start and at each change, and raises when it
    cannot serve them. `http01` is where HTTP-01 is answered (port 80); None leaves it to
    TLS-ALPN-01 alone.
    """

    def __init__(
        self,
        reactor: IReactorCore,
        options: BotOptions,
        serve: Callable[[bytes], None],
        http01: IStreamServerEndpoint | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor, self._options, self._serve, self._http01 = reactor, options, serve, http01
        self._clock = IReactorTime(reactor)
        self.server_name = host_name(options.server_name)
        self._agent = self._http_agent()
        self._folder = options.folder
        self.pending = PendingChallenges(self._folder)
        self._http01_responder = Http01Responder(self._folder)
        self._store = PrivateStore(self._folder, self._accept)
        self._http_port: IListeningPort | None = None
        self._lock: int | None = None
        self._seen: tuple[int, int] | None = None
        self.validity: Validity | None = None
        self.issuing: IssuingService | None = None
        self._following = LoopingCall(self._follow)
        self._following.clock = self._clock

    def wrap(self, factory: IProtocolFactory) -> IProtocolFactory:
        """Put TLS-ALPN-01 in front of a TLS factory."""
        return ChallengeFactory(self.pending, factory, self._clock)

    def privilegedStartService(self) -> None:  # noqa: N802
        """Bind port 80, while the process may."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        if self._http01 is not None:
            listening: Deferred[IListeningPort] = self._http01.listen(self._http01_responder.site)
            listening.addCallbacks(self._http_listens, self._http_does_not)

    def startService(self) -> None:  # noqa: N802
        """Serve what is on disk at once; ask the authority only when that is not in time.

        Raises:
            OSError: the folder cannot be used.
            ValueError: the account's key is damaged.
        """
        private_folder(self._folder)
        super().startService()  # type: ignore[no-untyped-call]
        self._follow()
        self._following.start(FOLLOW_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Stop at once; give up the lock."""
        if self._following.running:
            self._following.stop()
        stopping = [maybeDeferred(super().stopService)]
        if self._http_port is not None:
            stopping.append(maybeDeferred(self._http_port.stopListening))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return gatherResults(stopping).addCallback(lambda _: None)

    async def reload(self) -> None:
        """Take up the file again; without one, or when it is time, ask the authority now (SIGHUP).

        Deleting the file is thus how an operator asks for another certificate.
        """
        self._seen = self.validity = None
        self._take_up()
        if self.issuing is not None:
            self.issuing.check_now()

    def _follow(self) -> None:
        """Unless this process leads: take up what the leader writes, and lead when it is gone."""
        if self._lock is None:
            self._take_up()
            if self._try_lock():
                self._lead()

    def _take_up(self) -> None:
        """Serve the file when it is not the one that is being served."""
        path = self._store.file(self.server_name)
        try:
            status = path.stat()
            if (status.st_ino, status.st_mtime_ns) == self._seen:
                return
            self._seen = status.st_ino, status.st_mtime_ns
            self._accept(self.server_name, path.read_bytes())
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it: as if it were not there
            log.warn("{path} is not used: {error}", path=str(path), error=str(error))

    def _accept(self, _server_name: str, content: bytes) -> None:
        leaf = x509.load_pem_x509_certificates(content)[0]
        self._serve(content)
        self.validity = Validity.of(leaf)

    def _try_lock(self) -> bool:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _lead(self) -> None:
        # Another process may have written between the last look and the lock.
        self._take_up()
        key = AccountKey(account_key(self._folder))
        client = AcmeClient(HTTPClient(self._agent), self._clock, self._options.directory_url, key)
        self.issuing = IssuingService(
            self.server_name,
            self._options.email or None,
            client=client,
            store=self._store,
            responders=[TlsAlpn01Responder(self.pending), self._http01_responder],
            clock=self._clock,
            now=time.time,
            validity=lambda: self.validity,
        )
        self.addService(self.issuing)  # type: ignore[no-untyped-call]

    def _http_agent(self) -> Agent:
        trust = None
        if self._options.directory_ca is not None:
            trust = trustRootFromCertificates(_authorities(self._options.directory_ca))
        return Agent(
            self._reactor,
            BrowserLikePolicyForHTTPS(trustRoot=trust),
            connectTimeout=CONNECT_SECONDS,
            # A pool that persists complains at shutdown about connections it has lost.
            pool=HTTPConnectionPool(self._reactor, persistent=False),
        )

    def _http_listens(self, port: IListeningPort) -> None:
        self._http_port = port

    def _http_does_not(self, failure: Failure) -> None:
        log.warn("no HTTP-01, only TLS-ALPN-01: {error}", error=failure.getErrorMessage())


def _authorities(path: Path) -> list[Certificate]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: holds no readable PEM certificate") from error
    return [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]
