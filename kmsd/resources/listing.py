"""Lists of any length: read and sent page by page, so that none is ever in memory whole.

Clients expect all of their objects in one JSON array and know no paging. A list that fits in one
page is an ordinary answer; a longer one is streamed, in step with how fast the client reads.
`?limit=` and `?offset=` cut out a part, for clients that can ask for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.resources.route import JSON, Answer, Exchange
from kmsd.store.interfaces import StoreError

if TYPE_CHECKING:
    from twisted.web.server import Request

    from kmsd.store.interfaces import Record

PAGE = 250
"""Records read at a time: making them JSON keeps the reactor for some ten milliseconds."""

NUMBER_DIGITS = 9

Page = Callable[[int, int], Awaitable["list[Record]"]]
"""`(limit, offset)` → records."""

Row = Callable[["Record"], dict[str, Any]]

_log = Logger("kmsd.http")


async def listing(exchange: Exchange, page: Page, row: Row) -> Answer | None:
    """Answer a JSON array of what `row` makes of each record.

    Raises:
        KmipError: INVALID_MESSAGE, limit or offset is not a number.
    """
    limit, offset = _number(exchange, "limit"), _number(exchange, "offset") or 0
    pages = _pages(page, limit, offset)
    first: list[Record] = await anext(pages, [])
    second: list[Record] = await anext(pages, [])
    if not second:
        return Answer(body=msgspec.json.encode([row(record) for record in first]))
    outlet = _Outlet(exchange.request)
    try:
        await outlet.write(b"[" + _rows(first, row))
        await outlet.write(b"," + _rows(second, row))
        async for records in pages:
            await outlet.write(b"," + _rows(records, row))
            if outlet.gone:
                return None
        await outlet.write(b"]")
    except StoreError as error:
        _log.warn("a list was cut off: {error}", error=error)
        await outlet.abort()
    finally:
        outlet.close()
    return None


def _number(exchange: Exchange, name: str) -> int | None:
    text = exchange.parameter(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise KmipError(ResultReason.INVALID_MESSAGE, f"{name} must be a number")
    return int(text)


async def _pages(page: Page, limit: int | None, offset: int) -> AsyncIterator[list[Record]]:
    """Yield the pages that have anything in them, `limit` records in all."""
    left = limit
    while left is None or left > 0:
        step = PAGE if left is None else min(left, PAGE)
        records = await page(step, offset)
        if records:
            yield records
        if len(records) < step:
            return
        offset += step
        left = None if left is None else left - step


def _rows(records: list[Record], row: Row) -> bytes:
    """Return the rows of one page without the brackets of the array."""
    return msgspec.json.encode([row(record) for record in records])[1:-1]


@implementer(IPushProducer)
class _Outlet:
    """Writes a long answer no faster than it is read."""

    def __init__(self, request: Request) -> None:
        """Start the answer."""
        self.gone = False
        self._request = request
        self._end: Deferred[None] = Deferred()
        self._open: Deferred[None] | None = None
        request.notifyFinish().addErrback(self._lost)
        request.setHeader(b"Content-Type", JSON)
        request.registerProducer(self, True)

    async def write(self, data: bytes) -> None:
        """Write, once the client has taken what was written before; nothing if it has gone."""
        if self._open is not None:
            await self._open
        if not self.gone:
            self._request.write(data)

    def close(self) -> None:
        """Let the request finish."""
        if not self.gone:
            self._request.unregisterProducer()

    async def abort(self) -> None:
        """Cut the connection, so that nobody takes half a list for a whole one."""
        if not self.gone:
            transport: Any = self._request.transport
            transport.abortConnection()
            await self._end

    def _lost(self, _reason: object) -> None:
        self.gone = True
        self._end.callback(None)
        self.resumeProducing()

    def pauseProducing(self) -> None:  # noqa: N802 (the interface's name)
        """Wait."""
        if self._open is None:
            self._open = Deferred()

    def resumeProducing(self) -> None:  # noqa: N802 (the interface's name)
        """Go on."""
        waiting, self._open = self._open, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:  # noqa: N802 (the interface's name)
        """Do nothing: the request tells when the client has gone."""
