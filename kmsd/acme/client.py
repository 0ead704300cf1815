"""A client of ACME certification authorities (RFC 8555), on treq.

Knows the protocol and nothing of files, timers or txacme. Each method is a coroutine that ends in
an answer, an AcmeError, or the cancellation of its Deferred; none blocks, and each request is
limited in time and size.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from kmsd.acme.jose import AccountKey

REQUEST_SECONDS = 30
LARGEST_ANSWER_BYTES = 1 << 20
# A CA that refuses half of all nonces (pebble can) lets one request of 65,000 fail sixteen times.
NONCE_TRIES = 16
POLL_SECONDS = 2
LONGEST_WAIT_SECONDS = 120
ORDER_SECONDS = 300
LARGEST_NONCE_STOCK = 20
SUCCESS = range(200, 300)

_ERROR = "urn:ietf:params:acme:error:"


class AcmeError(Exception):
    """The authority refused, could not be reached, or answered against the protocol.

    Attributes:
        kind: the last part of RFC 8555 §6.7's error type, or "" when the fault is not the CA's.
        retry_after_seconds: how long the CA asks to be left alone, or 0.
    """

    def __init__(self, message: str, kind: str = "", retry_after_seconds: float = 0) -> None:
        super().__init__(message)
        self.kind, self.retry_after_seconds = kind, retry_after_seconds


@dataclass(frozen=True)
class Answer:
    """What came back: the headers that matter, and the body."""

    url: str
    body: bytes
    location: str | None
    retry_after_seconds: float

    def json(self) -> dict[str, Any]:
        """Return the body's JSON object.

        Raises:
            AcmeError: it is none.
        """
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise AcmeError(f"{self.url}: the answer is not JSON") from error
        if not isinstance(value, dict):
            raise AcmeError(f"{self.url}: the answer is not a JSON object")
        return value

    def text(self, name: str) -> str:
        """Return the string called `name` in the body.

        Raises:
            AcmeError: there is none.
        """
        value = self.json().get(name)
        if not isinstance(value, str):
            raise AcmeError(f"{self.url}: the answer lacks {name!r}")
        return value

    def own_url(self) -> str:
        """Return the URL that was given to the resource just made.

        Raises:
            AcmeError: there is none.
        """
        if self.location is None:
            raise AcmeError(f"{self.url}: the answer has no Location")
        return self.location

    def problem(self) -> str:
        """Return what the body says went wrong, for a message: ": detail", or nothing."""
        error = self.json().get("error")
        detail = error.get("detail") if isinstance(error, dict) else None
        return f": {str(detail)[:500]}" if detail else ""


class AcmeClient:
    """An account at one authority, with its nonces and its directory of URLs."""

    def __init__(
        self, http: HTTPClient, clock: IReactorTime, directory_url: str, key: AccountKey
    ) -> None:
        self.key = key
        self._http, self._clock, self._directory_url = http, clock, directory_url
        self._directory: dict[str, Any] = {}
        self._nonces: list[str] = []
        self._account: str | None = None
        self._contact: list[str] = []

    async def register(self, email: str | None) -> str:
        """Create the account, or find it again, agreeing to the terms; return its URL (§7.3)."""
        self._contact = [f"mailto:{email}"] if email else []
        return await self._introduce()

    async def new_order(self, names: Sequence[str]) -> Answer:
        """Ask for a certificate for `names`; the answer's location is the order (§7.4)."""
        payload = {"identifiers": [{"type": "dns", "value": each} for each in names]}
        return await self._post(await self._url("newOrder"), payload)

    def forget(self) -> None:
        """Drop the directory and the nonces: after a failure the next try begins anew."""
        self._directory, self._nonces = {}, []

    async def fetch(self, url: str) -> Answer:
        """Read a resource (POST-as-GET, §6.3)."""
        return await self._post(url, None)

    async def accept(self, challenge_url: str) -> Answer:
        """Say that the challenge can be checked (§7.5.1)."""
        return await self._post(challenge_url, {})

    async def finalize(self, order_url: str, csr: str) -> Answer:
        """Hand in the CSR (DER in base64url) when the order is ready; return it valid (§7.4)."""
        order = await self._settle(order_url, {"pending", "processing"})
        if order.text("status") == "ready":
            await self._post(order.text("finalize"), {"csr": csr})
            order = await self._settle(order_url, {"ready", "processing"})
        if order.text("status") != "valid":
            raise AcmeError(f"{order.url}: the order is {order.text('status')}{order.problem()}")
        return order

    async def _settle(self, order_url: str, unsettled: set[str]) -> Answer:
        deadline = self._clock.seconds() + ORDER_SECONDS
        while True:
            order = await self.fetch(order_url)
            if order.text("status") not in unsettled:
                return order
            if self._clock.seconds() > deadline:
                raise AcmeError(f"{order_url}: still {order.text('status')}", "slow")
            await self.sleep(order.retry_after_seconds or POLL_SECONDS)

    async def sleep(self, seconds: float) -> None:
        """Wait, though never as long as to look dead."""
        await deferLater(self._clock, min(seconds, LONGEST_WAIT_SECONDS))

    async def _url(self, name: str) -> str:
        if not self._directory:
            answer = await self._request("GET", self._directory_url, None)
            self._directory = answer.json()
        value = self._directory.get(name)
        if not isinstance(value, str):
            raise AcmeError(f"{self._directory_url}: the directory lacks {name!r}")
        return value

    async def _post(self, url: str, payload: Any) -> Answer:
        try:
            return await self._signed(url, payload, self._account)
        except AcmeError as error:
            if error.kind != "accountDoesNotExist":
                raise
        # The CA has lost its memory, or was replaced behind its name: introduce ourselves again.
        self.forget()
        return await self._signed(url, payload, await self._introduce())

    async def _introduce(self) -> str:
        payload: dict[str, Any] = {"termsOfServiceAgreed": True}
        if self._contact:
            payload["contact"] = self._contact
        answer = await self._signed(await self._url("newAccount"), payload, None)
        self._account = answer.own_url()
        return self._account

    async def _signed(self, url: str, payload: Any, account: str | None) -> Answer:
        """Send a signed request; a refused nonce is replaced and the request sent again."""
        for _ in range(NONCE_TRIES):
            nonce = self._nonces.pop() if self._nonces else await self._new_nonce()
            try:
                return await self._request("POST", url, self.key.sign(url, nonce, account, payload))
            except AcmeError as error:
                if error.kind != "badNonce":
                    raise
                # §6.5: the others are of the same age; the refusal itself brought a fresh one.
                del self._nonces[:-1]
        raise AcmeError(f"{url}: the CA refused {NONCE_TRIES} nonces", "badNonce")

    async def _new_nonce(self) -> str:
        await self._request("HEAD", await self._url("newNonce"), None)
        if not self._nonces:
            raise AcmeError(f"{self._directory_url}: the CA gives no nonce")
        return self._nonces.pop()

    async def _request(self, method: str, url: str, body: bytes | None) -> Answer:
        if urlsplit(url).scheme != urlsplit(self._directory_url).scheme:
            raise AcmeError(f"{url}: the CA names a URL of another scheme than its directory's")
        try:
            response, content = await self._exchange(method, url, body)
        except CancelledError:
            raise
        except Exception as error:  # treq, TLS and DNS raise a dozen unrelated kinds
            raise AcmeError(f"{url}: {_why(error)}", "unreachable") from error
        wait = retry_after_seconds(_header(response, "Retry-After"), time.time())
        nonce = _header(response, "Replay-Nonce")
        if nonce is not None:
            self._nonces = [*self._nonces[-LARGEST_NONCE_STOCK:], nonce]
        if response.code not in SUCCESS:
            raise _refusal(url, response.code, content, wait)
        return Answer(url, content, _header(response, "Location"), wait)

    async def _exchange(self, method: str, url: str, body: bytes | None) -> tuple[IResponse, bytes]:
        headers = Headers({"User-Agent": ["kmsd"], "Accept-Language": ["en"]})
        if body is not None:
            headers.addRawHeader("Content-Type", "application/jose+json")
        requested = self._http.request(
            method, url, headers=headers, data=body, allow_redirects=False, unbuffered=True
        )
        response = await requested.addTimeout(REQUEST_SECONDS, self._clock)
        return response, await _collect(response).addTimeout(REQUEST_SECONDS, self._clock)


def retry_after_seconds(value: str | None, now: float) -> float:
    """Read a Retry-After header: seconds, or a date (RFC 9110 §10.2.3); 0 when it is neither."""
    if value is None:
        return 0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return 0


def _header(response: IResponse, name: str) -> str | None:
    values = response.headers.getRawHeaders(name)
    return values[-1] if values else None


def _refusal(url: str, status: int, content: bytes, wait: float) -> AcmeError:
    # RFC 7807; a proxy in between answers in HTML, which is worth its status only.
    try:
        problem = json.loads(content)
        detail, kind = str(problem["detail"])[:500], str(problem["type"])
    except (ValueError, TypeError, KeyError):
        return AcmeError(f"{url}: HTTP {status}", "", wait)
    return AcmeError(f"{url}: {detail} ({kind})", kind.removeprefix(_ERROR), wait)


def _why(error: Exception) -> str:
    # Twisted wraps the reason of a failed exchange in lists of failures.
    reasons = getattr(error, "reasons", None)
    inner = reasons[-1].value if reasons else error
    return f"{type(inner).__name__}: {inner}"[:300]


class _Collector(Protocol):
    """Gathers a body of limited size."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._drop())
        self._parts: list[bytes] = []
        self._size = 0

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._parts.append(data)
        self._size += len(data)
        if self._size > LARGEST_ANSWER_BYTES and not self.done.called:
            self._drop()
            self.done.errback(AcmeError("the answer is too large"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)


def _collect(response: IResponse) -> Deferred[bytes]:
    collector = _Collector()
    response.deliverBody(collector)
    return collector.done
