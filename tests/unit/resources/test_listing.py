"""Long lists: sent page by page, no faster than they are read, and never half without a sign."""

# mypy: allow-untyped-calls
# twisted.internet.testing has no annotations

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from kmsd.kmip.attributes import Attributes
from kmsd.resources import root_resource
from kmsd.resources.listing import listing
from kmsd.resources.route import Answer, Exchange, Route, Services, Who
from kmsd.resources.site import make_site
from kmsd.store.interfaces import Record, StoreUnavailable

PAGE = 3


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmsd.resources.listing.PAGE", PAGE)


@dataclasses.dataclass
class Listed:
    """A connection on which a list was asked for, and the pages that the store is asked for."""

    asked: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    pages: list[Deferred[list[Record]]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        async def page(limit: int, offset: int) -> list[Record]:
            self.asked.append((limit, offset))
            self.pages.append(Deferred())
            return await self.pages[-1]

        async def handler(exchange: Exchange) -> Answer | None:
            return await listing(exchange, page, lambda record: {"id": record.unique_identifier})

        services = Services(engine=cast("Any", None), stores=cast("Any", None))
        root = root_resource(services, [Route("GET", "/list", Who.ANYONE, handler)])
        self.in_flight = root.in_flight
        self.wire = StringTransport(lenient=True)
        self.channel = make_site(root, reactor=Clock()).buildProtocol(None)
        self.channel.makeConnection(self.wire)

    def ask(self, version: bytes = b"1.1", method: bytes = b"GET") -> None:
        self.channel.dataReceived(method + b" /list HTTP/" + version + b"\r\nHost: x\r\n\r\n")

    def answer(self, *numbers: int) -> None:
        """Give the page that the store was asked for last."""
        self.pages[-1].callback(
            [Record(unique_identifier=str(n), owner="o", attributes=Attributes()) for n in numbers]
        )

    @property
    def sent(self) -> bytes:
        value: bytes = self.wire.value()
        return value


def test_a_list_of_one_page_is_an_ordinary_answer() -> None:
    listed = Listed()
    listed.ask()
    listed.answer(1, 2)
    assert b"Content-Length: 23\r\n" in listed.sent
    assert listed.sent.endswith(b'\r\n\r\n[{"id":"1"},{"id":"2"}]')
    assert listed.asked == [(3, 0)]


def test_a_list_of_one_full_page_is_one_as_well() -> None:
    listed = Listed()
    listed.ask()
    listed.answer(1, 2, 3)
    listed.answer()
    assert b"chunked" not in listed.sent
    assert listed.asked == [(3, 0), (3, 3)]


def test_a_longer_list_is_streamed() -> None:
    listed = Listed()
    listed.ask(b"1.0")
    listed.answer(1, 2, 3)
    assert listed.sent == b""
    listed.answer(4, 5, 6)
    assert b'{"id":"6"}' in listed.sent
    assert b"Content-Length" not in listed.sent
    listed.answer(7)
    body = listed.sent.partition(b"\r\n\r\n")[2]
    assert [row["id"] for row in json.loads(body)] == list("1234567")
    assert listed.wire.disconnecting


def test_a_streamed_list_keeps_the_connection() -> None:
    listed = Listed()
    listed.ask()
    for numbers in ((1, 2, 3), (4,)):
        listed.answer(*numbers)
    assert listed.sent.endswith(b"]\r\n0\r\n\r\n")
    assert not listed.wire.disconnecting
    listed.wire.clear()
    listed.ask()
    listed.answer()
    assert listed.sent.endswith(b"[]")


def test_a_page_is_not_sent_before_the_last_was_read() -> None:
    """One page at most waits in memory, and no further one is read from the store."""
    listed = Listed()
    listed.ask()
    listed.answer(1, 2, 3)
    listed.answer(4, 5, 6)
    listed.channel.pauseProducing()
    listed.answer(7, 8, 9)
    assert b'"7"' not in listed.sent
    assert len(listed.asked) == 3
    listed.channel.resumeProducing()
    assert b'"7"' in listed.sent
    listed.answer()
    assert listed.sent.endswith(b"]\r\n0\r\n\r\n")


def test_a_list_that_breaks_off_cuts_the_connection() -> None:
    """Nobody may take a part for the whole."""
    listed = Listed()
    listed.ask()
    listed.answer(1, 2, 3)
    listed.answer(4, 5, 6)
    with capturedLogs() as logs:
        listed.pages[-1].errback(StoreUnavailable("gone"))
    assert listed.wire.disconnected
    assert not listed.sent.endswith(b"0\r\n\r\n")
    assert len(logs) == 1
    listed.channel.connectionLost(Failure(ConnectionDone()))
    assert listed.in_flight.count == 0


def test_a_list_that_cannot_begin_is_an_ordinary_error() -> None:
    listed = Listed()
    listed.ask()
    with capturedLogs():
        listed.pages[-1].errback(StoreUnavailable("gone"))
    assert listed.sent.startswith(b"HTTP/1.1 503 ")


def test_a_client_that_leaves_ends_the_list() -> None:
    listed = Listed()
    listed.ask()
    listed.answer(1, 2, 3)
    listed.answer(4, 5, 6)
    listed.channel.connectionLost(Failure(ConnectionDone()))
    listed.answer(7, 8, 9)
    assert listed.in_flight.count == 0
    assert len(listed.asked) == 3


def test_a_client_that_leaves_while_it_does_not_read_ends_the_list() -> None:
    listed = Listed()
    listed.ask()
    listed.answer(1, 2, 3)
    listed.answer(4, 5, 6)
    listed.channel.pauseProducing()
    listed.answer(7, 8, 9)
    assert listed.in_flight.count == 1
    listed.channel.connectionLost(Failure(ConnectionDone()))
    assert listed.in_flight.count == 0
