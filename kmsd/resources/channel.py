"""The HTTP/1.1 connection, stricter than Twisted's: limits come before work, doubts end in 400.

A connection is always in one `Phase`, and the site's sweep asks it once a second whether it has
overstayed: no timer is set or cancelled per request. A refusal is sent whole and the rest of what
the client sends is read and thrown away for a moment, since closing a socket with unread input
would reset the connection and destroy the answer on its way.
"""

# mypy: allow-untyped-calls
# twisted.web has no annotations

from __future__ import annotations

import enum
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.protocol import connectionDone
from twisted.web import http
from typing_extensions import override

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from kmsd.resources.site import KmsdSite

LENGTH_DIGITS = 18
"""Longer lengths are over every limit, and need not become numbers to be known for it."""

BURST = 16
"""Pipelined requests answered in one turn of the reactor: others want to be served as well."""

SINGLE = (b"Host", b"Authorization", b"Kmsdatabasesecret", b"Databasesecret", b"Content-Encoding")
"""Headers that decide something: two of them would mean one thing to a proxy, another to us."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may cost. Sizes are bytes; the times 0 mean "for ever".

    `roomy_body_bytes` holds for the routes that carry keys and data, `body_bytes` for the rest.
    `held_body_bytes` is for the bodies of all connections together: they are in memory before
    anybody knows who sends them (one always has room). A body must come with
    `body_bytes_per_second` in every stretch of `body_grace_seconds`.
    """

    roomy_body_bytes: int = 16 << 20
    body_bytes: int = 64 << 10
    held_body_bytes: int = 512 << 20
    header_bytes: int = 32 << 10
    header_count: int = 100
    request_line_bytes: int = 8 << 10
    header_seconds: float = 10
    idle_seconds: float = 60
    body_bytes_per_second: int = 1024
    body_grace_seconds: float = 10
    linger_seconds: float = 2
    connections: int = 4096


class Phase(enum.Enum):
    """What a connection is doing."""

    IDLE = enum.auto()  # waits for the first byte of a request
    HEAD = enum.auto()  # reads a request line and headers
    BODY = enum.auto()  # reads a body
    BUSY = enum.auto()  # an answer is being made; further input is kept back
    LINGER = enum.auto()  # refused or closing: input is thrown away


class Channel(http.HTTPChannel):
    """One connection of a `KmsdSite`."""

    site: KmsdSite
    transport: Any

    @override
    def connectionMade(self) -> None:
        """Start the time for the first request's headers."""
        self._limits = limits = self.site.limits
        self.maxHeaders = limits.header_count  # ours are checked first, with a better answer
        self.totalHeadersSize = limits.header_bytes
        self.MAX_LENGTH = limits.header_bytes
        self._answered_this_turn = 0
        self._body_received = 0
        self._wire_received = 0
        self._body_limit = limits.body_bytes
        self._window_received = 0
        self._stalled_until = math.inf
        self._closing = False
        self._held_back: Any = None
        super().connectionMade()
        self.site.opened(self)
        self._enter(Phase.HEAD, limits.header_seconds)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the request under way, and the site."""
        self._phase = Phase.LINGER
        self._let_go_of_body()
        super().connectionLost(reason)
        self.site.closed(self)

    # Time

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything on this connection."""
        nothing_came = not self.requests and not self._buffer
        return nothing_came and self._phase in (Phase.IDLE, Phase.HEAD)

    def _enter(self, phase: Phase, seconds: float = 0) -> None:
        self._phase = phase
        self._deadline = self.site.seconds() + seconds if seconds else math.inf

    def sweep(self, now: float) -> None:
        """Close the connection if it has taken longer than its phase allows."""
        if now >= self._stalled_until:
            self.transport.abortConnection()
        elif now >= self._deadline:
            self._overstayed()

    def _overstayed(self) -> None:
        if self._phase is Phase.LINGER:
            self._close_or_abort()
        elif self._phase is Phase.BODY and self._fast_enough():
            self._enter(Phase.BODY, self._limits.body_grace_seconds)
        elif self.idle:
            self.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _fast_enough(self) -> bool:
        wanted = self._limits.body_bytes_per_second * self._limits.body_grace_seconds
        received, self._window_received = self._window_received, 0
        return received >= wanted

    def close(self) -> None:
        """Close as soon as what was written is sent, or by force a moment later."""
        self._closing = True
        self._enter(Phase.LINGER, self._limits.linger_seconds)
        self.loseConnection()

    def _close_or_abort(self) -> None:
        if self._closing:
            self.transport.abortConnection()
        else:
            self.close()

    def retire(self) -> None:
        """Close now if nobody waits for an answer, else right after the answer."""
        if self.idle:
            self.close()
            return
        self.persistent = False
        for request in self.requests:
            if not request.startedWriting:
                request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    @override
    def pauseProducing(self) -> None:
        """Stop reading from a client that does not read; it gets as long as its answer needs.

        Twisted would go on reading while a request is being answered, and answer all of a
        pipeline into memory.
        """
        owed = sum(request.sentLength for request in self.requests)
        slowest = owed / max(self._limits.body_bytes_per_second, 1)
        if self._limits.idle_seconds:
            self._stalled_until = self.site.seconds() + self._limits.idle_seconds + slowest
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    @override
    def resumeProducing(self) -> None:
        """Go on: the client has read what there was."""
        self._stalled_until = math.inf
        super().resumeProducing()
        held_back, self._held_back = self._held_back, None
        if held_back is not None:
            self.site.reactor.callLater(0, self._next, held_back)

    # Input

    @override
    def dataReceived(self, data: bytes) -> None:
        """Take what came, unless this connection is done with."""
        if self._phase is Phase.LINGER:
            return
        if not self._busyReceiving:
            self._answered_this_turn = 0
        super().dataReceived(data)

    @override
    def lineReceived(self, line: bytes) -> None:
        """Check a line of the head before anything is made of it."""
        if self._phase is Phase.LINGER:
            return
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD, self._limits.header_seconds)
        refused = self._objection_to_line(line)
        if refused:
            self.refuse(refused)
        else:
            super().lineReceived(line)

    def _objection_to_line(self, line: bytes) -> HTTPStatus | None:
        if not self.requests:
            too_long = len(line) > self._limits.request_line_bytes
            return HTTPStatus.REQUEST_URI_TOO_LONG if too_long else None
        if line[:1] in (b" ", b"\t"):  # obs-fold, RFC 9112 §5.2
            return HTTPStatus.BAD_REQUEST
        if (
            self._receivedHeaderSize + len(line) > self._limits.header_bytes
            or self._receivedHeaderCount >= self._limits.header_count
        ):
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return None

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line longer than the whole head may be."""
        self.refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            if self.requests
            else HTTPStatus.REQUEST_URI_TOO_LONG
        )

    @override
    def headerReceived(self, line: bytes) -> bool:
        """Refuse what Twisted would let pass: lengths without end, codings it would skip."""
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"content-length" and len(value) > LENGTH_DIGITS and value.isdigit():
            return self._refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if name == b"transfer-encoding" and (
            value.lower() != b"chunked" or self._version == b"HTTP/1.0"
        ):
            return self._refused(HTTPStatus.BAD_REQUEST)
        return bool(super().headerReceived(line))

    def _refused(self, status: HTTPStatus) -> bool:
        self.refuse(status)
        return False

    @override
    def allHeadersReceived(self) -> None:
        """Decide by the head alone whether the body is wanted."""
        if self._phase is Phase.LINGER:
            return
        request = self.requests[-1]
        self._body_limit = self.site.body_limit(self._path)
        self._wire_received = self._window_received = 0
        refused = self._objection_to_head(request)
        if refused:
            self.refuse(refused)
            return
        self._enter(Phase.BODY, self._limits.body_grace_seconds)
        super().allHeadersReceived()

    def _objection_to_head(self, request: Any) -> HTTPStatus | None:
        headers = request.requestHeaders
        if any(len(headers.getRawHeaders(name, ())) > 1 for name in SINGLE):
            return HTTPStatus.BAD_REQUEST
        if self._version == b"HTTP/1.1" and not headers.hasHeader(b"Host"):
            return HTTPStatus.BAD_REQUEST  # RFC 9112 §3.2
        if self.length is not None and self.length > self._body_limit:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if (request.getHeader(b"Content-Encoding") or b"identity").lower() != b"identity":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if (request.getHeader(b"Expect") or b"100-continue").lower() != b"100-continue":
            return HTTPStatus.EXPECTATION_FAILED
        return None

    @override
    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Keep the connection unless one side wants it closed. Source: RFC 9112 §9.3."""
        listed = b",".join(request.requestHeaders.getRawHeaders(b"Connection", ()))
        options = {option.strip().lower() for option in listed.split(b",")}
        if version != b"HTTP/1.1" or b"close" in options or self.site.draining:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            return False
        return True

    @override
    def rawDataReceived(self, data: bytes) -> None:
        """Read the body, counting what comes over the wire: a chunk may be less than its frame."""
        if self._phase is Phase.LINGER:
            return
        if self._phase is Phase.BODY:
            self._window_received += len(data)
            if self.length is None:
                self._wire_received += len(data)
                if self._wire_received > 2 * self._body_limit + self._limits.header_bytes:
                    self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
        super().rawDataReceived(data)

    def accepts(self, count: int) -> bool:
        """Count bytes of the body; refuse the request when they are too many."""
        if self._phase is Phase.LINGER:
            return False
        self._body_received += count
        self.site.held_body_bytes += count
        if self._body_received > self._body_limit:
            return self._refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self.site.held_body_bytes > max(self._limits.held_body_bytes, self._body_limit):
            return self._refused(HTTPStatus.SERVICE_UNAVAILABLE)
        return True

    def _let_go_of_body(self) -> None:
        """Free what has come of a body that nobody will read any more."""
        for request in self.requests:
            if request.content is not None:
                request.content.close()
        self.site.held_body_bytes -= self._body_received
        self._body_received = 0

    @override
    def allContentReceived(self) -> None:
        """Hand the request on."""
        if self._phase is Phase.LINGER:
            return
        self._enter(Phase.BUSY)
        super().allContentReceived()

    # Answers

    @override
    def requestDone(self, request: Any) -> None:
        """Go on with the next request, which may be waiting already."""
        self._answered_this_turn += 1
        if self._waitingForTransport and self.persistent:
            self._held_back = request
        elif self._answered_this_turn < BURST:
            self._next(request)
        else:
            self._answered_this_turn = 0
            self.site.reactor.callLater(0, self._next, request)

    def _next(self, request: Any) -> None:
        self.site.held_body_bytes -= self._body_received
        self._body_received = 0
        if self._phase is Phase.LINGER:
            return
        if self.persistent:
            self._enter(Phase.IDLE, self._limits.idle_seconds)
        else:
            self._closing = True
            slowest = request.sentLength / max(self._limits.body_bytes_per_second, 1)
            self._enter(Phase.LINGER, self._limits.linger_seconds + slowest)
        super().requestDone(request)

    def refuse(self, status: HTTPStatus) -> None:
        """Answer `status` without a request having been made, and close."""
        if self._phase is Phase.LINGER:
            return
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % (status, status.phrase.encode())
        )
        self._let_go_of_body()
        self._enter(Phase.LINGER, self._limits.linger_seconds)
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if half_close:
            half_close()

    @override
    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(HTTPStatus.BAD_REQUEST)
