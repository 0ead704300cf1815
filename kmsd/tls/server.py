"""The TLS layer of a listening port, whose certificate can be changed while it serves."""

from __future__ import annotations

from collections.abc import Callable, Collection

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from kmsd.tls.authorities import ClientAuthorities
from kmsd.tls.context import server_context
from kmsd.tls.credentials import Credentials

HANDSHAKE_SECONDS = 10


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """What a port shows to clients: one certificate, replaceable, and one rule for client ones.

    New connections get the newest context; established ones keep theirs. Before the first
    certificate each handshake fails with an alert.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        authorities: ClientAuthorities | None = None,
        cipher_suites: Collection[str] = (),
    ) -> None:
        self._cipher_suites = tuple(cipher_suites)
        self.swap(credentials, authorities)

    def __repr__(self) -> str:
        """Say that it is there; the certificate is shown by its owner."""
        return f"<{type(self).__name__} client_certificates={self.wants_client_certificate}>"

    @property
    def wants_client_certificate(self) -> bool:
        """Say whether a client without a certificate is refused."""
        return self.authorities is not None

    def swap(self, credentials: Credentials | None, authorities: ClientAuthorities | None) -> None:
        """Serve another certificate, and accept other clients, from the next connection on.

        Raises:
            CertificateError: it cannot be used; the old one stays.
        """
        self._context = server_context(credentials, authorities, self._cipher_suites)
        self.credentials, self.authorities = credentials, authorities

    def refresh(self) -> None:
        """Make new session ticket keys; sessions of before can no longer be resumed."""
        self.swap(self.credentials, self.authorities)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002, N802
        """Make the OpenSSL side of a new connection."""
        return SSL.Connection(self._context)


class ServerTLSProtocol(BufferingTLSTransport):
    """One TLS connection: no Nagle delay, and only so much time for the handshake."""

    _deadline = None

    def makeConnection(self, transport: ITransport) -> None:  # noqa: N802
        """Start; a client that has not finished its handshake in time is cut off."""
        if ITCPTransport.providedBy(transport):
            # The last flight of a TLS 1.3 handshake would wait 40 ms for the client's delayed ACK.
            transport.setTcpNoDelay(True)
        self._deadline = self.factory._clock.callLater(HANDSHAKE_SECONDS, self._time_is_up)  # noqa: SLF001
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def _time_is_up(self) -> None:
        self._deadline = None
        handle = self.getHandle()  # type: ignore[no-untyped-call]
        if handle is not None and handle.get_peer_finished() is None:
            self.abortConnection()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        super().connectionLost(reason)


class ServerTLSFactory(TLSMemoryBIOFactory):
    """A factory of connections that speak TLS as `tls` says."""

    protocol = ServerTLSProtocol

    def __init__(
        self, tls: ServerTLS, wrapped: IProtocolFactory, clock: IReactorTime | None = None
    ) -> None:
        super().__init__(tls, isClient=False, wrappedFactory=wrapped, clock=clock)


@implementer(IStreamServerEndpoint)
class WrappedEndpoint:
    """An endpoint that hands each factory through some layers before it listens."""

    def __init__(
        self, endpoint: IStreamServerEndpoint, wrap: Callable[[IProtocolFactory], IProtocolFactory]
    ) -> None:
        self._endpoint, self._wrap = endpoint, wrap

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen with the wrapped factory."""
        return self._endpoint.listen(self._wrap(protocolFactory))
