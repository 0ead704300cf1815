"""The HTTP/1.1 connection: what it refuses, when it hangs up, and in which order it answers.

All of it in memory: bytes in, bytes out, and a clock that only the test moves.
"""

# mypy: allow-untyped-calls
# twisted.internet.testing has no annotations

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from kmsd.resources import root_resource
from kmsd.resources.channel import BURST, Limits
from kmsd.resources.route import Answer, Exchange, Route, Services, Who
from kmsd.resources.site import KmsdSite, make_site

LIMITS = Limits(
    roomy_body_bytes=1000,
    body_bytes=100,
    held_body_bytes=1500,
    header_bytes=2000,
    header_count=10,
    request_line_bytes=200,
    header_seconds=10,
    idle_seconds=30,
    body_bytes_per_second=10,
    body_grace_seconds=5,
    linger_seconds=2,
    connections=3,
)


async def echo(exchange: Exchange) -> Answer:
    return Answer(body=exchange.body, content_type=b"text/plain")


async def length(exchange: Exchange) -> Answer:
    return Answer(body=b"%d" % len(exchange.body), content_type=b"text/plain")


class Wire(StringTransport):
    """A connection in memory that also knows half of it being closed."""

    half_closed = False

    def loseWriteConnection(self) -> None:  # noqa: N802 (Twisted's name)
        self.half_closed = True


@dataclasses.dataclass
class Line:
    """One connection, seen from the client."""

    site: KmsdSite
    clock: Clock
    slow: list[Deferred[None]]

    def __post_init__(self) -> None:
        self.wire = Wire(lenient=True)
        self.channel = self.site.buildProtocol(None)
        self.channel.makeConnection(self.wire)

    def send(self, data: bytes) -> bytes:
        """Send, and return all that was answered since the last time."""
        self.channel.dataReceived(data)
        return self.answered()

    def answered(self) -> bytes:
        value: bytes = self.wire.value()
        self.wire.clear()
        return value

    def pass_time(self, seconds: float) -> bytes:
        """Let time pass, second by second as the sweep sees it."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
        return self.answered()

    def hang_up(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))

    @property
    def closed(self) -> bool:
        """Whether the server has begun to close."""
        return bool(self.wire.half_closed or self.wire.disconnecting)


@pytest.fixture
def line() -> Line:
    return lines()


def lines(limits: Limits = LIMITS) -> Line:
    clock, slow = Clock(), cast("list[Deferred[None]]", [])

    async def wait(_exchange: Exchange) -> Answer:
        slow.append(Deferred())
        await slow[-1]
        return Answer(body=b"done")

    routes = (
        Route("POST", "/echo", Who.ANYONE, echo),
        Route("POST", "/roomy", Who.ANYONE, length, roomy=True),
        Route("GET", "/wait", Who.ANYONE, wait),
    )
    services = Services(engine=cast("Any", None), stores=cast("Any", None))
    site = make_site(root_resource(services, routes), limits=limits, reactor=clock)
    return Line(site, clock, slow)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def post(body: bytes, path: bytes = b"/echo", *headers: bytes) -> bytes:
    head = [b"POST %s HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"", body])


WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"

# What is answered


def test_a_request_is_answered_with_its_length_and_without_a_banner(line: Line) -> None:
    head, _, body = line.send(post(b"hello")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 5" in head
    assert b"Server:" not in head
    assert b"chunked" not in head
    assert body == b"hello"


def test_a_connection_is_kept_for_the_next_request(line: Line) -> None:
    assert status(line.send(post(b"1"))) == 200
    assert status(line.send(post(b"2"))) == 200
    assert not line.closed


def test_byte_by_byte_is_as_good_as_at_once(line: Line) -> None:
    request = post(b"hello")
    answers = [line.send(request[at : at + 1]) for at in range(len(request))]
    assert b"".join(answers).endswith(b"hello")


def test_chunks_are_put_together(line: Line) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert line.send(head + b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n").endswith(b"\r\n\r\nhello")


def test_http_1_0_is_answered_and_closed(line: Line) -> None:
    answer = line.send(b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
    assert status(answer) == 200
    assert answer.endswith(b"hi")
    assert b"Connection: close" in answer
    assert line.closed


@pytest.mark.parametrize("value", [b"close", b"Close", b"keep-alive, close"])
def test_a_client_that_wants_to_close_is_told_so_and_closed(line: Line, value: bytes) -> None:
    assert b"Connection: close" in line.send(post(b"", b"/echo", b"Connection: " + value))
    assert line.closed


def test_expect_100_continue_is_answered_before_the_body(line: Line) -> None:
    head, body = post(b"hello", b"/echo", b"Expect: 100-continue").split(b"\r\n\r\n")
    assert line.send(head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert line.send(body).endswith(b"hello")


def test_expect_100_continue_of_too_much_is_refused_before_the_body(line: Line) -> None:
    head = post(b"x" * 101, b"/echo", b"Expect: 100-continue").split(b"\r\n\r\n")[0]
    assert status(line.send(head + b"\r\n\r\n")) == 413


def test_pipelined_requests_are_answered_in_their_order(line: Line) -> None:
    bodies = [b"<%d>" % number for number in range(5)]
    answer = line.send(b"".join(map(post, bodies)))
    assert [answer.index(body) for body in bodies] == sorted(answer.index(body) for body in bodies)


def test_a_request_behind_a_slow_one_waits_for_it(line: Line) -> None:
    assert line.send(WAIT + post(b"second")) == b""
    line.slow[0].callback(None)
    answer = line.answered()
    assert answer.index(b"done") < answer.index(b"second")


def test_a_long_pipeline_lets_others_have_their_turn(line: Line) -> None:
    count = 3 * BURST
    answer = line.send(post(b"") * count)
    assert answer.count(b"HTTP/1.1 200") == BURST
    for _ in range(count):
        line.clock.advance(0)
    assert line.answered().count(b"HTTP/1.1 200") == count - BURST


def test_a_client_that_leaves_in_a_long_pipeline_is_forgotten(line: Line) -> None:
    line.send(post(b"") * 2 * BURST)
    line.hang_up()
    line.clock.advance(0)
    assert line.answered() == b""


# What is refused

STRANGE_HEADS = {
    "no request": b"hello\r\n\r\n",
    "two empty lines first": b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "control character in the target": b"GET /\x07 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "blank before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "folded first line": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "bare LF in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n",
    "length twice": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "lengths in a list": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
    "signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "hexadecimal length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
    "foreign digits": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \u0661\r\n\r\n".encode(),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "chunks and length": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    ),
    "identity and length": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n"
    ),
    "chunked twice": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    ),
    "unknown coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "coding in a list": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "vertical tab in the coding": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n"
    ),
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two authorizations": (
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\n\r\n"
    ),
    "two database secrets": (
        b"GET / HTTP/1.1\r\nHost: x\r\nKmsDatabaseSecret: a\r\nkmsdatabasesecret: b\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", STRANGE_HEADS)
def test_a_request_that_two_programs_may_read_differently_is_refused(line: Line, name: str) -> None:
    answer = line.send(STRANGE_HEADS[name] + post(b"smuggled"))
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1
    assert b"smuggled" not in answer
    assert line.closed


STRANGE_CHUNKS = {
    "no number": b"x\r\n",
    "signed": b"+1\r\na\r\n",
    "prefixed": b"0x1\r\na\r\n",
    "blank": b" 1\r\na\r\n",
    "too short": b"1\r\nab\r\n",
    "bare LF": b"1\na\n0\n\n\r\n",
    "bare LF in an extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "endless extension": b"1;" + b"a" * 2000,
}


@pytest.mark.parametrize("name", STRANGE_CHUNKS)
def test_malformed_chunks_are_refused(line: Line, name: str) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = line.send(head + STRANGE_CHUNKS[name])
    assert status(answer) == 400
    assert line.closed


def test_a_body_over_the_limit_is_refused_by_its_length_alone(line: Line) -> None:
    assert status(line.send(post(b"x" * 101).split(b"\r\n\r\n")[0] + b"\r\n\r\n")) == 413


def test_the_largest_body_is_accepted(line: Line) -> None:
    assert line.send(post(b"x" * 100)).endswith(b"x" * 100)


def test_roomy_routes_take_larger_bodies(line: Line) -> None:
    assert line.send(post(b"x" * 1000, b"/roomy")).endswith(b"1000")
    assert status(line.send(post(b"x" * 1001, b"/roomy"))) == 413


@pytest.mark.parametrize("digits", [b"100000000000000", b"9" * 19, b"9" * 1500])
def test_absurd_lengths_are_refused(line: Line, digits: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + digits
    assert status(line.send(head + b"\r\n\r\n")) == 413


def test_chunks_are_counted_as_they_come(line: Line) -> None:
    line.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert line.send(b"64\r\n" + b"x" * 100 + b"\r\n") == b""
    assert status(line.send(b"1\r\nx\r\n")) == 413


def test_the_frame_of_chunks_counts_as_well(line: Line) -> None:
    """One byte per chunk and long extensions cannot make a small body expensive."""
    line.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    answers = [line.send(b"1;" + b"a" * 500 + b"\r\nx\r\n") for _ in range(5)]
    assert status(b"".join(answers)) == 413


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"zstd", b"identity, gzip"])
def test_compressed_bodies_are_refused_unread(line: Line, coding: bytes) -> None:
    head = post(b"x" * 10, b"/echo", b"Content-Encoding: " + coding).split(b"\r\n\r\n")[0]
    assert status(line.send(head + b"\r\n\r\n")) == 415


def test_identity_is_no_compression(line: Line) -> None:
    assert status(line.send(post(b"x", b"/echo", b"Content-Encoding: identity"))) == 200


def test_expecting_something_else_is_refused(line: Line) -> None:
    assert status(line.send(post(b"x", b"/echo", b"Expect: 200-maybe"))) == 417


def test_a_long_request_line_is_refused(line: Line) -> None:
    assert status(line.send(b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == 414


def test_an_endless_request_line_is_refused_before_it_ends(line: Line) -> None:
    assert status(line.send(b"GET /" + b"a" * 3000)) == 414


def test_an_endless_header_is_refused_before_it_ends(line: Line) -> None:
    assert status(line.send(b"GET / HTTP/1.1\r\nA: " + b"a" * 3000)) == 431


def test_many_small_headers_are_refused(line: Line) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20
    assert status(line.send(head + b"\r\n")) == 431


def test_headers_too_large_together_are_refused(line: Line) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"A: " + b"b" * 500 + b"\r\n") * 5
    assert status(line.send(head + b"\r\n")) == 431


def test_what_follows_a_refusal_is_thrown_away(line: Line) -> None:
    """The client may still be sending: its bytes neither count nor mean anything any more."""
    line.send(post(b"x" * 101).split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert line.send(post(b"smuggled") * 100) == b""
    assert line.pass_time(5) == b""
    assert line.wire.disconnecting


def test_bodies_of_all_connections_together_are_limited(line: Line) -> None:
    """What is refused, answered or left behind counts no more."""
    head = post(b"x" * 1000, b"/roomy").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    other = Line(line.site, line.clock, line.slow)
    line.send(head + b"x" * 999)
    assert status(other.send(head + b"x" * 502)) == 503
    other.hang_up()
    other = Line(line.site, line.clock, line.slow)
    other.send(head + b"x" * 501)
    assert status(line.send(b"x")) == 503
    line.hang_up()
    assert status(other.send(b"x" * 499)) == 200
    other.send(head + b"x" * 999)
    assert line.site.held_body_bytes == 999
    other.hang_up()
    assert line.site.held_body_bytes == 0


def test_connections_over_the_limit_are_not_accepted(line: Line) -> None:
    others = [line.site.buildProtocol(None) for _ in range(2)]
    for other in others:
        other.makeConnection(Wire(lenient=True))
    assert line.site.buildProtocol(None) is None
    line.hang_up()
    assert line.site.buildProtocol(None) is not None


# Time


def test_headers_must_come_in_time_however_steadily_they_trickle(line: Line) -> None:
    line.send(b"GET / HTTP/1.1\r\n")
    answers = [line.send(b"A") + line.pass_time(1) for _ in range(15)]
    assert status(b"".join(answers)) == 408
    assert line.closed


def test_a_connection_without_a_request_is_closed_without_a_word(line: Line) -> None:
    assert line.pass_time(11) == b""
    assert line.closed


def test_an_idle_connection_is_closed_without_a_word(line: Line) -> None:
    line.send(post(b""))
    line.pass_time(29)
    assert not line.closed
    assert line.pass_time(2) == b""
    assert line.closed


def test_each_request_has_its_own_time_for_headers(line: Line) -> None:
    line.send(post(b""))
    line.pass_time(20)
    line.send(b"GET / HTTP/1.1\r\n")
    line.pass_time(9)
    assert not line.closed
    assert status(line.pass_time(2)) == 408


def test_a_body_slower_than_the_minimum_is_refused(line: Line) -> None:
    head = post(b"x" * 1000, b"/roomy").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    line.send(head)
    answers = [line.send(b"x" * 5) + line.pass_time(1) for _ in range(12)]
    assert status(b"".join(answers)) == 408


def test_a_body_that_starts_fast_may_not_trickle_afterwards(line: Line) -> None:
    line.send(post(b"x" * 1000, b"/roomy").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    line.send(b"x" * 900)
    answers = [line.send(b"x") + line.pass_time(1) for _ in range(12)]
    assert status(b"".join(answers)) == 408


def test_a_slow_but_sufficient_body_is_accepted(line: Line) -> None:
    line.send(post(b"x" * 1000, b"/roomy").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    answers = [line.send(b"x" * 20) + line.pass_time(1) for _ in range(50)]
    assert status(b"".join(answers)) == 200


def test_a_request_being_answered_may_take_its_time(line: Line) -> None:
    line.send(WAIT)
    line.pass_time(1000)
    assert not line.closed
    line.slow[0].callback(None)
    assert status(line.answered()) == 200


def test_a_client_that_does_not_read_is_cut_off(line: Line) -> None:
    line.send(post(b""))
    line.channel.pauseProducing()
    line.pass_time(29)
    assert not line.wire.disconnected
    line.pass_time(3)
    assert line.wire.disconnected


def test_a_pipeline_waits_while_its_client_does_not_read(line: Line) -> None:
    """Else the answers to all of it would pile up in memory."""
    line.channel.pauseProducing()
    assert line.wire.producerState == "paused"
    assert line.send(post(b"") * 5).count(b"HTTP/1.1 200") == 1
    line.clock.advance(0)
    assert line.answered() == b""
    line.channel.resumeProducing()
    line.clock.advance(0)
    assert line.answered().count(b"HTTP/1.1 200") == 4
    assert line.wire.producerState == "producing"


def test_a_client_that_reads_again_is_kept(line: Line) -> None:
    line.send(post(b""))
    line.channel.pauseProducing()
    line.pass_time(20)
    line.channel.resumeProducing()
    line.pass_time(9)
    assert not line.closed


def test_a_connection_that_does_not_close_is_cut_off(line: Line) -> None:
    line.pass_time(20)
    assert line.wire.disconnected


def test_nobody_watches_the_clock_when_there_are_no_connections(line: Line) -> None:
    line.hang_up()
    assert line.clock.getDelayedCalls() == []


# Stopping


def test_a_stop_closes_idle_connections_at_once(line: Line) -> None:
    drained = line.site.drain(10)
    assert line.closed
    line.hang_up()
    assert drained.called


def test_a_stop_waits_for_the_answer_and_then_closes(line: Line) -> None:
    line.send(WAIT)
    drained = line.site.drain(10)
    assert not line.closed
    line.slow[0].callback(None)
    assert b"Connection: close" in line.answered()
    assert line.closed
    line.hang_up()
    assert drained.called


def test_a_stop_lets_a_request_that_is_coming_in_finish(line: Line) -> None:
    head, body = post(b"hello").split(b"\r\n\r\n")
    line.send(head)
    line.site.drain(10)
    answer = line.send(b"\r\n\r\n" + body)
    assert answer.endswith(b"hello")
    assert b"Connection: close" in answer


def test_a_stop_cuts_off_what_takes_too_long(line: Line) -> None:
    line.send(WAIT)
    drained = line.site.drain(10)
    line.pass_time(9)
    assert not drained.called
    line.pass_time(2)
    assert drained.called
    assert line.wire.disconnected


def test_a_stop_waits_for_work_whose_client_has_left(line: Line) -> None:
    """A write that was begun is not cut off because nobody waits for its answer."""
    line.send(WAIT)
    line.hang_up()
    drained = line.site.drain(10)
    assert not drained.called
    line.slow[0].callback(None)
    assert drained.called


def test_a_stopping_site_takes_no_new_connections(line: Line) -> None:
    line.site.drain(10)
    assert line.site.buildProtocol(None) is None


def test_a_site_without_connections_stops_at_once(line: Line) -> None:
    line.hang_up()
    assert line.site.drain(10).called
