"""TLS-ALPN-01 (RFC 8737) on the serving port, beside the clients.

The certification authority connects to the port, asks for the protocol `acme-tls/1` and wants to
see a certificate made for the purpose. OpenSSL chooses its certificate before it looks at the
protocol, so the first bytes are read here, and the connection goes to the challenge or to TLS as
usual. What is pending lies in a file: any process of the server may be the one that is asked.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from txacme.interfaces import IResponder
from zope.interface import implementer

from kmsd.acme.client_hello import Hello, parse
from kmsd.acme.store import host_name, write_private

PROTOCOL = b"acme-tls/1"
HELLO_SECONDS = 10

# RFC 8737 §6.1: id-pe-acmeIdentifier, an OCTET STRING of 32 bytes.
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTET_STRING_OF_32 = b"\x04\x20"

log = Logger()


def challenge_pem(server_name: str, key_authorization: str, now: dt.datetime) -> bytes:
    """Make the key and the self-signed certificate that answer the challenge (RFC 8737 §3)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    digest = hashlib.sha256(key_authorization.encode()).digest()
    proof = x509.UnrecognizedExtension(_ACME_IDENTIFIER, _OCTET_STRING_OF_32 + digest)
    alternative = x509.SubjectAlternativeName([x509.DNSName(server_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=True)
        .add_extension(proof, critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM)


class PendingChallenges:
    """The challenge certificates of a folder, shared by all processes of the server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cached: tuple[bytes, SSL.Context] | None = None

    def file(self, server_name: str) -> Path:
        """Return where the challenge for `server_name` lies while it is pending.

        Raises:
            ValueError: not a host name.
        """
        return self._folder / f"{host_name(server_name)}.challenge"

    def put(self, server_name: str, content: bytes) -> None:
        """Show `content` (challenge_pem) to whoever asks for `server_name`."""
        write_private(self.file(server_name), content)

    def drop(self, server_name: str) -> None:
        """Show nothing more."""
        self.file(server_name).unlink(missing_ok=True)

    def find(self, hello: Hello) -> SSL.Context | None:
        """Return the context for a client that asks for a pending challenge, and only for that."""
        if hello.protocols != (PROTOCOL,):
            return None
        try:
            content = self.file(hello.server_name).read_bytes()
            if self._cached is None or self._cached[0] != content:
                self._cached = content, _challenge_context(content)
        except (OSError, ValueError):
            return None
        return self._cached[1]


@implementer(IResponder)
class TlsAlpn01Responder:
    """Answers TLS-ALPN-01 on the ports whose factories are wrapped in ChallengeFactory."""

    challenge_type = "tls-alpn-01"

    def __init__(self, pending: PendingChallenges) -> None:
        self._pending = pending

    def start_responding(self, server_name: str, challenge: Any, response: Any) -> None:  # noqa: ARG002
        """Make the certificate and show it."""
        now = dt.datetime.now(dt.UTC)
        self._pending.put(server_name, challenge_pem(server_name, response.key_authorization, now))

    def stop_responding(self, server_name: str, challenge: Any, response: Any) -> None:  # noqa: ARG002
        """Take it away."""
        self._pending.drop(server_name)


class ChallengeFactory(ServerFactory):
    """Sends each connection to the pending challenge it asks for, or to `wrapped`."""

    noisy = False

    def __init__(
        self, pending: PendingChallenges, wrapped: IProtocolFactory, clock: IReactorTime
    ) -> None:
        self.pending, self.wrapped, self.clock = pending, wrapped, clock

    def doStart(self) -> None:  # noqa: N802
        """Start the wrapped factory as well."""
        self.wrapped.doStart()
        super().doStart()  # type: ignore[no-untyped-call]

    def doStop(self) -> None:  # noqa: N802
        """Stop the wrapped factory as well."""
        self.wrapped.doStop()
        super().doStop()  # type: ignore[no-untyped-call]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802
        """Wait for the client's first message."""
        return _FirstBytes(self, addr)

    def choose(self, hello: Hello) -> IProtocolFactory:
        """Return the factory for a client that begins with `hello`."""
        context = self.pending.find(hello)
        if context is None:
            return self.wrapped
        log.info("TLS-ALPN-01 is being checked for {name}", name=hello.server_name)
        return TLSMemoryBIOFactory(
            _Fixed(context), isClient=False, wrappedFactory=_Closing(), clock=self.clock
        )


class _FirstBytes(Protocol):
    """Holds a connection until the ClientHello is whole, then steps out of the way."""

    _deadline: IDelayedCall | None = None

    def __init__(self, factory: ChallengeFactory, address: IAddress | None) -> None:
        self._factory, self._address = factory, address
        self._buffer = b""

    def connectionMade(self) -> None:  # noqa: N802
        abort = self.transport.abortConnection  # type: ignore[union-attr]
        self._deadline = self._factory.clock.callLater(HELLO_SECONDS, abort)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._buffer += data
        try:
            hello = parse(self._buffer)
        except ValueError:
            # OpenSSL is the judge of what is wrong with it, and answers with the right alert.
            hello = Hello()
        if hello is not None:
            self._hand_over(self._factory.choose(hello))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002, N802
        self._cancel()

    def _hand_over(self, factory: IProtocolFactory) -> None:
        self._cancel()
        # The interface has no None in it; every real factory takes what it was given.
        protocol = factory.buildProtocol(self._address)  # type: ignore[arg-type]
        transport: Any = self.transport
        if protocol is None:
            transport.abortConnection()
            return
        # From here on the transport talks to the next protocol itself: no cost per byte.
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(self._buffer)

    def _cancel(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


@implementer(IOpenSSLServerConnectionCreator)
class _Fixed:
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002, N802
        return SSL.Connection(self._context)


@implementer(IHandshakeListener)
class _CloseAtOnce(Protocol):
    """RFC 8737 §3: the handshake is all there is; no byte of application data is read."""

    def handshakeCompleted(self) -> None:  # noqa: N802
        if self.transport is not None:
            self.transport.loseConnection()


class _Closing(ServerFactory):
    noisy = False
    protocol = _CloseAtOnce


def _challenge_context(content: bytes) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(x509.load_pem_x509_certificate(content))
    context.use_privatekey(load_pem_private_key(content, None))  # type: ignore[arg-type]
    context.set_alpn_select_callback(lambda _connection, _offered: PROTOCOL)
    return context
