"""Binary KMIP over TLS: a stream of messages in, their answers out, in order.

Messages may come split or several at once; they are answered one after the other. A connection
that asks for more than it reads is not read from until it has caught up. Source: KMIP 2.1 §10.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from kmsd.ttlv import TtlvError
from kmsd.ttlv.binary_format import Framer

_log = Logger()

WAITING = 64
"""How many messages of one connection may wait before it is no longer read from."""

Answer = Callable[["KmipProtocol", bytes], Awaitable[bytes]]
"""Makes the encoded answer to an encoded message that came on a connection."""


class KmipProtocol(Protocol, TimeoutMixin):
    """One connection."""

    factory: "KmipFactory"
    transport: Any

    def __init__(self, answer: Answer, maximum_bytes: int, idle_seconds: float) -> None:
        """Answer each message of up to `maximum_bytes`; hang up after `idle_seconds` of silence."""
        self._answer = answer
        self._framer = Framer(maximum_bytes)
        self._idle_seconds = idle_seconds
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._paused = False
        self._connected = False

    def connectionMade(self) -> None:  # noqa: N802
        """Take the connection, unless there are too many."""
        if not self.factory.admit(self):
            self.transport.abortConnection()
            return
        self._connected = True
        self.setTimeout(self._idle_seconds)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002, N802
        """Forget the connection and what still waits on it."""
        self._connected = False
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        self._waiting.clear()
        self.factory.dismiss(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Queue the messages that are whole; a stream that is none is closed."""
        self.resetTimeout()  # type: ignore[no-untyped-call]
        try:
            self._waiting.extend(self._framer.receive(data))
        except TtlvError as error:
            _log.info("{peer}: {error}", peer=str(self.transport.getPeer()), error=str(error))
            self.transport.loseConnection()
            return
        if len(self._waiting) > WAITING and not self._paused:
            self._paused = True
            self.transport.pauseProducing()
        if self._waiting and not self._busy:
            self._busy = True
            ensureDeferred(self._work()).addErrback(self._failed)

    async def _work(self) -> None:
        """Answer what waits, in order."""
        while self._waiting and self._connected:
            answer = await self._answer(self, self._waiting.popleft())
            if self._connected:
                self.transport.write(answer)
                self.resetTimeout()  # type: ignore[no-untyped-call]
            if self._paused and len(self._waiting) < WAITING // 2:
                self._paused = False
                self.transport.resumeProducing()
        self._busy = False

    def _failed(self, failure: Failure) -> None:
        _log.failure("a connection failed", failure)
        self.transport.abortConnection()

    def timeoutConnection(self) -> None:  # noqa: N802
        """Hang up on silence, but not on a client whose answer is being made."""
        if self._busy:
            self.resetTimeout()  # type: ignore[no-untyped-call]
        else:
            self.transport.abortConnection()


class KmipFactory(Factory):
    """The connections of a listening port, counted and bounded."""

    noisy = False

    def __init__(
        self,
        answer: Answer,
        *,
        maximum_bytes: int = 16 << 20,
        idle_seconds: float = 3_600,
        maximum_connections: int = 10_000,
    ) -> None:
        """Answer with `answer`, within these limits."""
        self._answer = answer
        self._maximum_bytes = maximum_bytes
        self._idle_seconds = idle_seconds
        self._maximum_connections = maximum_connections
        self._open: set[KmipProtocol] = set()

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002, N802
        """Make the protocol of a new connection."""
        protocol = KmipProtocol(self._answer, self._maximum_bytes, self._idle_seconds)
        protocol.factory = self
        return protocol

    def admit(self, protocol: KmipProtocol) -> bool:
        """Count a connection; tell whether there is room for it."""
        if len(self._open) >= self._maximum_connections:
            return False
        self._open.add(protocol)
        return True

    def dismiss(self, protocol: KmipProtocol) -> None:
        """Count a connection out."""
        self._open.discard(protocol)
