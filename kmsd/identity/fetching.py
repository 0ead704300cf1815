"""Fetching an issuer's keys: https alone, no redirect, little, soon."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from kmsd.identity.jwks import FetchFailed

LARGEST_BYTES = 256 * 1024
CONNECT_SECONDS = 5
TOTAL_SECONDS = 10


class Fetcher:
    """Fetches over TLS from hosts that the system's authorities, or those of a file, sign for."""

    def __init__(self, reactor: Any, authorities: Path | None = None) -> None:
        """Make it ready.

        Raises:
            ValueError: the file holds no certificate.
            OSError: it cannot be read.
        """
        trust = None if authorities is None else trustRootFromCertificates(_read(authorities))
        agent = Agent(
            reactor,
            BrowserLikePolicyForHTTPS(trustRoot=trust),
            connectTimeout=CONNECT_SECONDS,
            pool=HTTPConnectionPool(reactor, persistent=False),
        )
        self._clock = IReactorTime(reactor)
        self._http = HTTPClient(_Plain(agent))

    async def __call__(self, uri: str) -> bytes:
        """Return the body at `uri`.

        Raises:
            FetchFailed: whatever kept it from being had.
        """
        if not uri.lower().startswith("https://"):
            raise FetchFailed("it is not https")
        whole = Deferred.fromCoroutine(self._get(uri)).addTimeout(TOTAL_SECONDS, self._clock)
        try:
            return await whole
        except FetchFailed:
            raise
        except Exception as error:  # noqa: BLE001 (treq, TLS and DNS raise a dozen unrelated kinds)
            raise FetchFailed(_why(error)) from None

    async def _get(self, uri: str) -> bytes:
        headers = Headers({"Accept": ["application/json"], "User-Agent": ["kmsd"]})
        response: IResponse = await self._http.get(
            uri, headers=headers, allow_redirects=False, unbuffered=True
        )
        if response.code != HTTPStatus.OK:
            raise FetchFailed(f"status {response.code}")
        body = _Body()
        response.deliverBody(body)
        return await body.done


@implementer(IAgent)
class _Plain:
    """An agent that neither asks for nor takes a compressed body, which could be a bomb."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: Any = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """Send a request."""
        sent = Headers() if headers is None else headers.copy()
        sent.removeHeader(b"accept-encoding")
        return self._agent.request(method, uri, sent, bodyProducer).addCallback(_uncompressed)


def _uncompressed(response: IResponse) -> IResponse:
    if response.headers.hasHeader(b"content-encoding"):
        response.deliverBody(_Unwanted())
        raise FetchFailed("the answer is compressed")
    return response


class _Unwanted(Protocol):
    """A body that nobody reads."""

    def connectionMade(self) -> None:  # noqa: N802
        """Hang up."""
        _abort(self)


class _Body(Protocol):
    """Gathers a body of limited size."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: _abort(self))
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Keep a part, unless it is too much."""
        self._size += len(data)
        self._parts.append(data)
        if self._size > LARGEST_BYTES and not self.done.called:
            self._parts.clear()
            self.done.errback(FetchFailed(f"the answer is longer than {LARGEST_BYTES} bytes"))
            _abort(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Be content with a whole body only."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(FetchFailed("the answer was cut off"))


def _abort(protocol: Protocol) -> None:
    if protocol.transport is not None:
        protocol.transport.loseConnection()


def _read(path: Path) -> list[Certificate]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path}: holds no readable PEM certificate") from None
    return [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found]


def _why(error: Exception) -> str:
    """Return the cause that twisted.web wraps, in one line."""
    reasons = getattr(error, "reasons", None)
    inner = reasons[0].value if reasons else error
    if isinstance(inner, CancelledError | TimeoutError | ConnectTimeoutError):
        return "it takes too long"
    return f"{type(inner).__name__}: {inner}".replace("\n", " ")[:200]
