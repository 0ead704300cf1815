"""HTTP to a key management server: one pool of connections, one way to fail."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

import treq
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError, UserError
from twisted.internet.error import TimeoutError as NoAnswer
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from kmsd.client.errors import ClientError, Trouble
from kmsd.client.tls import HttpsPolicy, TlsOptions, Trust
from kmsd.kmip.enums import ResultReason

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 120.0
MAXIMUM_ANSWER_BYTES = 1 << 30
"""The largest answer that is taken in: more is not a key management server's."""

_IDLE_SECONDS = 10
_CONNECTIONS = 10

# How the server begins its texts, where that is not the wire name of the reason.
_PREFIXES = {
    "Access denied": ResultReason.PERMISSION_DENIED,
    "Not Supported route": ResultReason.OPERATION_NOT_SUPPORTED,
    "Invalid Request": ResultReason.INVALID_MESSAGE,
    "Not Supported": ResultReason.FEATURE_NOT_SUPPORTED,
}
_BY_STATUS: dict[int, ResultReason | Trouble] = {
    401: Trouble.AUTHENTICATION,
    404: Trouble.NOT_A_KMS,
    413: ResultReason.SERVER_LIMIT_EXCEEDED,
}
_EMPTY = {
    401: "the server does not know you: check the access token or the client certificate",
    404: "there is no such route: check that the URL is a key management server's",
}


class Http:
    """A server's URL, with what every request to it carries."""

    def __init__(
        self,
        reactor: Any,
        url: str,
        *,
        tls: TlsOptions | None = None,
        headers: Mapping[str, str] | None = None,
        agent: IAgent | None = None,
        request_seconds: float = REQUEST_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        """Speak to the server at `url`; an `agent` (one in memory, say) takes the place of all TLS.

        Raises:
            ClientError: the certificates of `tls` cannot be used, or `url` is no HTTP URL.
        """
        if not url.lower().startswith(("http://", "https://")):
            raise ClientError(
                Trouble.SETTINGS, f"{url!r} is no URL: write http://HOST:PORT or https://…"
            )
        self.url = url.rstrip("/")
        self._reactor = reactor
        self._headers = dict(headers or {})
        self._seconds = request_seconds
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        self._pool.maxPersistentPerHost = _CONNECTIONS
        if agent is None:
            policy = HttpsPolicy(Trust(tls or TlsOptions()))
            agent = Agent(reactor, policy, connectTimeout=connect_seconds, pool=self._pool)
        self._client = treq.client.HTTPClient(agent)

    async def request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            ClientError: the server cannot be reached, refuses, or takes too long.
        """
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        exchange = self._exchange(method, path, body, headers)
        return await answered(exchange, self.url, self._seconds, self._reactor)

    async def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> bytes:
        response = await self._client.request(
            method,
            self.url + path,
            headers=Headers({name: [value] for name, value in headers.items()}),
            data=body,
            allow_redirects=False,
        )
        parts: list[bytes] = []
        left = MAXIMUM_ANSWER_BYTES

        def collect(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if left < 0:
                raise ClientError(Trouble.PROTOCOL, "the answer is too large")
            parts.append(data)

        await treq.collect(response, collect)
        answer = b"".join(parts)
        if not 200 <= response.code < 300:  # noqa: PLR2004 (HTTP's success)
            raise refusal(response.code, answer)
        return answer

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._pool.closeCachedConnections()


async def answered(
    exchange: Coroutine[Deferred[Any], Any, bytes], name: str, seconds: float, reactor: Any
) -> bytes:
    """Await an answer of the server called `name`, with a time limit.

    Raises:
        ClientError: whatever goes wrong.
    """

    def give_up(_error: Any, _seconds: float) -> None:
        raise ClientError(Trouble.TIMEOUT, f"{name} has not answered within {seconds:g} seconds")

    work = Deferred.fromCoroutine(exchange)
    work.addTimeout(seconds, reactor, onTimeoutCancel=give_up)
    try:
        return await work
    except ClientError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever Twisted, treq or OpenSSL raise)
        raise _unreached(name, error) from None


def refusal(status: int, body: bytes) -> ClientError:
    """Return the error that an HTTP answer tells of."""
    text = body[:2000].decode("utf-8", "replace").strip()
    prefix, colon, rest = text.partition(": ")
    fallback = _BY_STATUS.get(status, ResultReason.GENERAL_FAILURE)
    if not text:
        return ClientError(fallback, _EMPTY.get(status, f"the server answers with HTTP {status}"))
    if text.lstrip().startswith("<"):  # a page of some other server's
        return ClientError(
            Trouble.NOT_A_KMS, f"HTTP {status} and a page: check the URL, and proxies on the way"
        )
    if prefix in _PREFIXES:
        return ClientError(_PREFIXES[prefix], text)
    try:
        return ClientError(ResultReason.of(prefix), rest if colon else text)
    except ValueError:
        return ClientError(fallback, text)


def _unreached(url: str, error: Exception) -> ClientError:
    """Word what went wrong on the way to a server."""
    cause = _cause(error)
    if isinstance(cause, DNSLookupError):
        return ClientError(
            Trouble.CONNECTION, f"{url}: no host is called so; check the server's URL"
        )
    name = type(cause).__name__
    if name in {"VerificationError", "Error", "CertificateError"} or "SSL" in name:
        return ClientError(Trouble.TLS, f"{url}: the TLS handshake failed: {_tls_text(cause)}")
    if isinstance(cause, ConnectError | NoAnswer | UserError):
        return ClientError(
            Trouble.CONNECTION,
            f"cannot connect to {url}: is the server running, and is the URL right?"
            f" ({str(cause).rstrip('.')})",
        )
    return ClientError(Trouble.CONNECTION, f"{url} closed the connection without an answer: {name}")


def _cause(error: Any) -> Any:
    """Return the reason inside Twisted's layers of failures."""
    while True:
        if isinstance(error, Failure):
            error = error.value
        reasons = getattr(error, "reasons", None)
        if not reasons:
            return error
        # One of them says why; that the connection was lost then says nothing.
        error = next((each for each in reasons if not _says_nothing(each)), reasons[0])


def _says_nothing(failure: Any) -> bool:
    value = failure.value if isinstance(failure, Failure) else failure
    return type(value).__name__ in {"ConnectionLost", "ConnectionDone", "ConnectionAborted"}


def _tls_text(error: Any) -> str:
    if type(error).__name__ == "VerificationError":
        return "the certificate is for another name than the URL's"
    details = error.args[0] if error.args else ""
    if isinstance(details, list) and details:
        text = "; ".join(str(each[-1]) for each in details if each[-1])
        if "certificate verify failed" in text:
            text += (
                " (its authority is not trusted here: name it in the configuration,"
                " or accept_invalid_certs for a test)"
            )
        return text
    return type(error).__name__
