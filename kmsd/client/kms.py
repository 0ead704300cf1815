"""The clients: KMIP as bare operations in JSON, or as whole messages in binary.

    kms = HttpKms(Http(reactor, "http://127.0.0.1:9998"))
    made = await kms(Create(object_type=…, attributes=…))      # → CreateResponse
    kmip = KmipKms(KmipPool(reactor, "kms.example.com", tls=…))
    first, second = await kmip.batch(Get(unique_identifier="a"), Get(unique_identifier="b"))

The request structures are the server's own (`kmsd.operations`), and so are the answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kmsd.client import messages
from kmsd.client.errors import ClientError, Trouble
from kmsd.client.http import Http
from kmsd.kmip import json_dialects
from kmsd.kmip.enums import BatchErrorContinuationOption
from kmsd.kmip.json_dialects import Spelling
from kmsd.kmip.messages import Credential
from kmsd.ttlv import Item, TtlvError, binary_format
from kmsd.ttlv.schema import Structure, dump

Listener = Callable[[str, bytes], None]
"""Told each request and answer: `("request" | "answer", body)`."""


class HttpKms:
    """Operations by POST /kmip/2_1, in the JSON of the product's clients.

    The dialect decides by whose rules the server answers: V4's objects are born Active and are not
    given out once they are revoked; V5 is KMIP, where a new object is Pre-Active unless it has an
    activation date, and knows all attributes.
    """

    def __init__(
        self, http: Http, dialect: Spelling = Spelling.V4, listener: Listener | None = None
    ) -> None:
        """Speak `dialect`; `listener` is told the bodies, secrets and all."""
        self.http = http
        self.dialect = dialect
        self._listener = listener or (lambda _what, _body: None)

    def speaking(self, dialect: Spelling) -> HttpKms:
        """Return the same client in another dialect."""
        return HttpKms(self.http, dialect, self._listener)

    async def __call__(self, request: Structure) -> Any:
        """Carry out one operation and return its response structure.

        Raises:
            ClientError: it failed.
        """
        item = await self.item(dump(request))
        return messages.loaded(messages.row_of(request).response, item)

    async def item(self, request: Item) -> Item:
        """Carry out an operation, or a RequestMessage, that is an item. Raises: ClientError."""
        body = json_dialects.encode(request, self.dialect)
        self._listener("request", body)
        answer = await self.http.request("POST", "/kmip/2_1", body, "application/json")
        self._listener("answer", answer)
        return _decoded(lambda: json_dialects.decode(answer)[0])


class KmipKms:
    """Operations as binary messages, over TLS (`KmipPool.exchange`) or HTTP (`over_http`)."""

    def __init__(
        self,
        exchange: Callable[[bytes], Awaitable[bytes]],
        *,
        version: tuple[int, int] = (2, 1),
        credential: Credential | None = None,
    ) -> None:
        """Send by `exchange`; KMIP 2.0 and 2.1 can be spoken."""
        self._exchange = exchange
        self._version = version
        self._credential = credential

    async def __call__(self, request: Structure) -> Any:
        """Carry out one operation and return its response structure. Raises: ClientError."""
        (answer,) = await self.batch(request)
        if isinstance(answer, ClientError):
            raise answer
        return answer

    async def batch(
        self,
        *requests: Structure,
        on_error: BatchErrorContinuationOption | None = None,
        **header: Any,
    ) -> list[Any]:
        """Carry out operations in one message; each answer is a response structure or its error.

        Raises:
            ClientError: the message failed as a whole.
        """
        message = messages.message(
            requests,
            version=self._version,
            credential=self._credential,
            on_error=on_error,
            **header,
        )
        return messages.answers(message, requests, await self.item(dump(message)))

    async def item(self, message: Item) -> Item:
        """Send a RequestMessage and return its ResponseMessage. Raises: ClientError."""
        answer = await self._exchange(binary_format.encode(message))
        return _decoded(lambda: binary_format.decode(answer))


def over_http(http: Http) -> Callable[[bytes], Awaitable[bytes]]:
    """Return how binary messages travel by POST /kmip."""

    async def exchange(message: bytes) -> bytes:
        return await http.request("POST", "/kmip", message, "application/octet-stream")

    return exchange


def _decoded(decode: Callable[[], Item]) -> Item:
    try:
        return decode()
    except TtlvError as error:
        raise ClientError(Trouble.PROTOCOL, f"the server's answer: {error}") from None
