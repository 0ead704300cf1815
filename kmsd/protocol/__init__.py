"""Binary KMIP over TLS: a stream of messages in, their answers out, in order.

Messages may come split or several at once; they are answered one after the other. A connection
that asks for more than it reads is not read from until it has caught up, one that begins a message
has a limited time to finish it, and one on which nothing happens is closed. Source: KMIP 2.1 §10.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from kmsd.ttlv import TtlvError
from kmsd.ttlv.binary_format import Framer

_log = Logger()

WAITING = 64
"""How many messages of one connection may wait before it is no longer read from."""

Answer = Callable[["KmipProtocol", bytes], Awaitable[bytes]]
"""Makes the encoded answer to an encoded message that came on a connection."""


@implementer(IPushProducer)
class KmipProtocol(Protocol, TimeoutMixin):
    """One connection."""

    factory: "KmipFactory"
    transport: Any

    def __init__(
        self, answer: Answer, maximum_bytes: int, idle_seconds: float, message_seconds: float
    ) -> None:
        """Answer each message of up to `maximum_bytes`; see KmipFactory for the times."""
        self._answer = answer
        self._framer = Framer(maximum_bytes)
        self._idle_seconds, self._message_seconds = idle_seconds, message_seconds
        self._waiting: deque[bytes] = deque()
        self._busy = False  # an answer is being made
        self._held = False  # the transport's buffer is full: no more answers
        self._full = False  # too many messages wait: no more reading
        self._within = False  # a message has begun and is not whole
        self._finishing = False
        self._connected = False

    def connectionMade(self) -> None:  # noqa: N802
        """Take the connection, unless there are too many."""
        if not self.factory.admit(self):
            self.transport.abortConnection()
            return
        self._connected = True
        self.transport.registerProducer(self, True)
        self.setTimeout(self._idle_seconds)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002, N802
        """Forget the connection and what still waits on it."""
        self._connected = False
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        self._waiting.clear()
        self.factory.dismiss(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Queue the messages that are whole; a stream that is none is closed."""
        try:
            self._waiting.extend(self._framer.receive(data))
        except TtlvError as error:
            _log.info("{peer}: {error}", peer=str(self.transport.getPeer()), error=str(error))
            self._waiting.clear()
            self.transport.loseConnection()
            return
        self._time()
        if len(self._waiting) > WAITING and not self._full:
            self._full = True
            self.transport.pauseProducing()
        self._begin()

    def _time(self) -> None:
        """Set the time for what comes next; the bytes of one message do not prolong its own."""
        if self._framer.is_within:
            if not self._within:
                self.setTimeout(self._message_seconds)  # type: ignore[no-untyped-call]
        else:
            self.setTimeout(self._idle_seconds)  # type: ignore[no-untyped-call]
        self._within = self._framer.is_within

    def _begin(self) -> None:
        if self._waiting and not self._busy and not self._held:
            self._busy = True
            ensureDeferred(self._work()).addErrback(self._failed)

    async def _work(self) -> None:
        """Answer what waits, in order."""
        while self._waiting and self._connected and not self._held:
            answer = await self._answer(self, self._waiting.popleft())
            if not self._connected:
                return
            self.transport.write(answer)
            self._time()
            if self._full and len(self._waiting) < WAITING // 2:
                self._full = False
                self.transport.resumeProducing()
        self._busy = False
        if self._finishing:
            self.finish()

    def _failed(self, failure: Failure) -> None:
        _log.failure("a connection failed", failure)
        self.transport.abortConnection()

    def timeoutConnection(self) -> None:  # noqa: N802
        """Hang up on silence, but not on a client whose answer is being made."""
        if self._busy and not self._within:
            self.setTimeout(self._idle_seconds)  # type: ignore[no-untyped-call]
        else:
            self.transport.abortConnection()

    def finish(self) -> None:
        """Hang up as soon as what has come whole is answered."""
        self._finishing = True
        if not self._busy:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Hang up now."""
        self.transport.abortConnection()

    # The transport's flow control: it asks for no more answers than the client reads.

    def pauseProducing(self) -> None:  # noqa: N802
        """Make no further answer for now."""
        self._held = True

    def resumeProducing(self) -> None:  # noqa: N802
        """Answer again."""
        self._held = False
        self._begin()

    def stopProducing(self) -> None:  # noqa: N802
        """Answer no more: nobody listens."""
        self._waiting.clear()


class KmipFactory(Factory):
    """The connections of a listening port, counted and bounded."""

    noisy = False

    def __init__(
        self,
        answer: Answer,
        *,
        maximum_bytes: int = 16 << 20,
        idle_seconds: float = 3_600,
        message_seconds: float = 60,
        maximum_connections: int = 10_000,
    ) -> None:
        """Answer with `answer`, within these limits.

        A client may be silent for `idle_seconds`, but has only `message_seconds` to send a message
        once it has begun.
        """
        self._answer = answer
        self._maximum_bytes = maximum_bytes
        self._idle_seconds, self._message_seconds = idle_seconds, message_seconds
        self._maximum_connections = maximum_connections
        self._open: set[KmipProtocol] = set()
        self._emptied: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002, N802
        """Make the protocol of a new connection."""
        protocol = KmipProtocol(
            self._answer, self._maximum_bytes, self._idle_seconds, self._message_seconds
        )
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
        if not self._open and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    async def drain(self, clock: IReactorTime, seconds: float) -> None:
        """Answer what has come, and close every connection; after `seconds` regardless."""
        if not self._open:
            return
        emptied = self._emptied = Deferred()
        late = clock.callLater(seconds, self._abort_all)
        for protocol in list(self._open):
            protocol.finish()
        await emptied
        if late.active():
            late.cancel()

    def _abort_all(self) -> None:
        for protocol in list(self._open):
            protocol.abort()
