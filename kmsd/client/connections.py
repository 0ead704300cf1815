"""Binary KMIP over TLS: a pool of connections to port 5696, one message at a time on each."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from kmsd.client.errors import ClientError, Trouble
from kmsd.client.http import CONNECT_SECONDS, REQUEST_SECONDS, answered
from kmsd.client.tls import TlsOptions, Trust
from kmsd.ttlv import TtlvError
from kmsd.ttlv.binary_format import Framer

KMIP_PORT = 5696
MAXIMUM_ANSWER_BYTES = 64 << 20
"""The largest answer; what is no KMIP looks larger, and is told at once."""

_CONNECTIONS = 10
_IDLE_SECONDS = 60.0


class KmipConnection(Protocol):
    """One connection; `exchange` sends a message and gives the answer to it."""

    def __init__(self, maximum_bytes: int = MAXIMUM_ANSWER_BYTES) -> None:
        """Take answers of up to `maximum_bytes`."""
        self._framer = Framer(maximum_bytes)
        self._waiting: deque[Deferred[bytes]] = deque()
        self.closed = False
        self.used = False

    def exchange(self, message: bytes) -> Deferred[bytes]:
        """Send an encoded message; several may be under way, and are answered in order."""
        answer: Deferred[bytes] = Deferred(lambda _: self.abort())
        self._waiting.append(answer)
        assert self.transport is not None  # noqa: S101 (who has this object is connected)
        self.transport.write(message)
        self.used = True
        return answer

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Hand each whole answer to who waits for it."""
        try:
            for answer in self._framer.receive(data):
                if not self._waiting:  # nobody has asked: whose answer the next one is, is unknown
                    self.abort()
                    return
                self._waiting.popleft().callback(answer)
        except TtlvError as error:
            self.abort()  # first, so that whoever is told does not take it for a good one
            self._fail(ClientError(Trouble.PROTOCOL, f"the server's answer: {error}"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Fail what still waits for an answer."""
        self.closed = True
        self._fail(reason.value or ConnectionLost())

    def _fail(self, error: BaseException) -> None:
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if not each.called:
                each.errback(Failure(error))

    def close(self) -> None:
        """Close the connection in good order."""
        self.closed = True
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection."""
        self.closed = True
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()


class KmipPool:
    """Connections to one server, opened as they are needed, up to `size` of them."""

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        port: int = KMIP_PORT,
        *,
        tls: TlsOptions | None = None,
        endpoint: IStreamClientEndpoint | None = None,
        size: int = _CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """Connect to `hostname`; an `endpoint` takes the place of all TLS.

        Raises:
            ClientError: the certificates of `tls` cannot be used.
        """
        self.name = f"{hostname}:{port}"
        self._reactor = reactor
        self._endpoint = endpoint or wrapClientTLS(
            Trust(tls or TlsOptions()).creator(hostname),
            HostnameEndpoint(reactor, hostname, port, timeout=CONNECT_SECONDS),
        )
        self._size = size
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._open = 0
        self._idle: list[tuple[KmipConnection, Any]] = []
        self._turns: deque[Deferred[None]] = deque()

    async def exchange(self, message: bytes) -> bytes:
        """Send an encoded message on a connection that is free; return the encoded answer.

        Raises:
            ClientError: the server cannot be reached, hangs up, or takes too long.
        """
        exchange = self._exchange(message)
        return await answered(exchange, self.name, self._request_seconds, self._reactor)

    async def _exchange(self, message: bytes) -> bytes:
        await self._turn()
        connection: KmipConnection | None = None
        try:
            connection = await self._connection()
            return await connection.exchange(message)
        finally:
            self._give_back(connection)

    async def _turn(self) -> None:
        """Wait until a connection is free, or may be opened."""
        if self._open < self._size:
            self._open += 1
            return
        turn: Deferred[None] = Deferred()
        self._turns.append(turn)
        try:
            await turn
        except CancelledError:
            self._turns.remove(turn)
            raise

    async def _connection(self) -> KmipConnection:
        while self._idle:
            connection, timer = self._idle.pop()
            timer.cancel()
            if not connection.closed:
                return connection
        factory = Factory.forProtocol(KmipConnection)
        factory.noisy = False
        connected: KmipConnection = await self._endpoint.connect(factory)  # type: ignore[assignment]
        return connected

    def _give_back(self, connection: KmipConnection | None) -> None:
        """Keep a connection for the next one, and let whoever waits have a turn."""
        if connection is not None and not connection.closed:
            timer = self._reactor.callLater(self._idle_seconds, self._expire, connection)
            self._idle.append((connection, timer))
        if self._turns:
            self._turns.popleft().callback(None)
        else:
            self._open -= 1

    def _expire(self, connection: KmipConnection) -> None:
        self._idle = [pair for pair in self._idle if pair[0] is not connection]
        connection.close()

    async def close(self) -> None:
        """Close the connections that nobody is using."""
        idle, self._idle = self._idle, []
        for connection, timer in idle:
            timer.cancel()
            connection.close()
