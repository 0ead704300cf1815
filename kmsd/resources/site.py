"""The HTTP side of a port: requests and connections with limits, and a stop that waits.

`make_site` gives a factory for any endpoint. Connections are `channel.Channel`s; what they may
cost is `channel.Limits`.
"""

# mypy: allow-untyped-calls
# twisted.web has no annotations

from __future__ import annotations

from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import NOT_DONE_YET, Request, Site
from typing_extensions import override

from kmsd.resources.channel import Channel, Limits
from kmsd.resources.headers import request_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IAddress, IReactorTime

    from kmsd.resources import RootResource

SWEEP_SECONDS = 1.0

_log = Logger("kmsd.http")


def origin_form(uri: bytes) -> bytes:
    """Return the path of a request target that also names a host. Source: RFC 9112 §3.2.2."""
    scheme, separator, rest = uri.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return uri
    return b"/" + rest.partition(b"/")[2]


class KmsdRequest(Request):
    """A request whose body stays in memory (never in a temporary file) and within its limit."""

    defaultContentType = None  # noqa: N815 (Twisted's name)
    channel: Any
    transport: Any
    site: KmsdSite

    @override
    def gotLength(self, length: int | None) -> None:
        """Make room for the body; the channel has refused what is too long."""
        self.content = BytesIO()

    @override
    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body as long as it is within the limit."""
        if self.channel.accepts(len(data)):
            cast("BytesIO", self.content).write(data)

    @override
    def parseCookies(self) -> None:
        """Leave cookies alone: there are none."""

    @override
    def getRequestHostname(self) -> bytes:
        """Give a fixed name: nothing may depend on what the client says we are called."""
        return b"localhost"

    @override
    def process(self) -> None:
        """Render the root resource: there is no tree to walk."""
        self.site = self.channel.site
        self.path = origin_form(self.path)
        self.prepath = []
        self.postpath = [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]
        self.setHeader(b"Date", datetimeToString())
        try:
            body = self.site.resource.render(self)
        except Exception:  # noqa: BLE001 (a bug; Klein catches those of handlers)
            self.processingFailed(Failure())
            return
        if body is not NOT_DONE_YET:
            self.write(body)
            self.finish()

    @override
    def processingFailed(self, reason: Failure) -> Failure:
        """Answer a bug with a status and nothing else; the traceback goes to the log."""
        _log.failure("a request failed outside of its handler", reason)
        if self.startedWriting:
            self.transport.abortConnection()
        else:
            self.setResponseCode(HTTPStatus.INTERNAL_SERVER_ERROR)
            self.setHeader(b"Content-Length", b"0")
            self.finish()
        return reason


class KmsdSite(Site):
    """The factory of a port's connections."""

    protocol: Any = Channel
    requestFactory = KmsdRequest  # noqa: N815 (Twisted's name)
    resource: RootResource

    def __init__(
        self, resource: RootResource, limits: Limits, roomy: Iterable[bytes], **options: Any
    ) -> None:
        """Serve `resource`; paths that start like one of `roomy` take the larger bodies."""
        super().__init__(resource, timeout=None, parsePOSTFormSubmission=False, **options)
        self.limits = limits
        self.draining = False
        self.held_body_bytes = 0
        self.access_log = False
        self._roomy = tuple(roomy)
        self._channels: set[Channel] = set()
        self._sweeping = LoopingCall(self._sweep)
        self._sweeping.clock = self.reactor
        self._empty: list[Deferred[None]] = []

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make a connection, unless there are too many or the server is stopping."""
        if self.draining or len(self._channels) >= self.limits.connections:
            return None
        return super().buildProtocol(addr)

    @override
    def startFactory(self) -> None:
        """Keep Twisted from ticking every second for a log file we do not write."""

    @override
    def stopFactory(self) -> None:
        """Leave open connections to `drain`."""

    @override
    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone: its limits are the ones that are kept here."""
        return [b"http/1.1"]

    def seconds(self) -> float:
        """Return the reactor's time."""
        return self.reactor.seconds()

    def body_limit(self, uri: bytes) -> int:
        """Return how many bytes a body sent to `uri` may have."""
        roomy = origin_form(uri).startswith(self._roomy)
        return self.limits.roomy_body_bytes if roomy else self.limits.body_bytes

    @override
    def log(self, request: Any) -> None:
        """Write a line for an answered request, if that was asked for."""
        if self.access_log:
            _log.info(
                "{address} {method} {path} {status} {size} {request_id}",
                address=getattr(request.getClientAddress(), "host", ""),
                method=request.method.decode("ascii", "replace"),
                path=request.path.decode("ascii", "backslashreplace"),
                status=request.code,
                size=request.sentLength,
                request_id=request_id_of(request),
            )

    # Connections

    def opened(self, channel: Channel) -> None:
        """Count a connection; time is looked at while there are any."""
        self._channels.add(channel)
        if not self._sweeping.running:
            self._sweeping.start(SWEEP_SECONDS, now=False).addErrback(
                lambda failure: _log.failure("the sweep of connections stopped", failure)
            )

    def closed(self, channel: Channel) -> None:
        """Forget a connection."""
        self._channels.discard(channel)
        if self._channels:
            return
        if self._sweeping.running:
            self._sweeping.stop()
        waiting, self._empty = self._empty, []
        for deferred in waiting:
            deferred.callback(None)

    def _sweep(self) -> None:
        now = self.seconds()
        for channel in tuple(self._channels):
            channel.sweep(now)

    def drain(self, timeout_seconds: float) -> Deferred[None]:
        """Take no more requests, finish those under way, then fire.

        Idle connections close at once, the others after their answer. After `timeout_seconds`
        what is left is cut off. Stop listening first: a drained site accepts nobody.
        """
        self.draining = True
        for channel in tuple(self._channels):
            channel.retire()
        empty: Deferred[None] = Deferred()
        if self._channels:
            self._empty.append(empty)
        else:
            empty = succeed(None)
        done = gatherResults([empty, self.resource.in_flight.when_idle()], consumeErrors=True)
        done.addTimeout(timeout_seconds, self.reactor, onTimeoutCancel=self._cut_off)
        return done.addCallback(lambda _: None)

    def _cut_off(self, _result: object, seconds: float) -> None:
        _log.warn(
            "{count} connections cut off after {seconds} s",
            count=len(self._channels),
            seconds=seconds,
        )
        for channel in tuple(self._channels):
            channel.transport.abortConnection()


def make_site(
    resource: RootResource,
    *,
    limits: Limits | None = None,
    access_log: bool = False,
    reactor: IReactorTime | None = None,
) -> KmsdSite:
    """Return the factory that serves `resource` on a port."""
    options = {} if reactor is None else {"reactor": reactor}
    site = KmsdSite(resource, limits or Limits(), resource.roomy, **options)
    site.access_log = access_log
    return site
