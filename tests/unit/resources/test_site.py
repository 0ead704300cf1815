"""The site: what a request target may look like, what is logged, what a bug outside shows."""

# mypy: allow-untyped-calls
# twisted.internet.testing has no annotations

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs

from kmsd.resources import RootResource, root_resource
from kmsd.resources.health import version_text
from kmsd.resources.route import Answer, Exchange, RequestEvidence, Route, Services, Who
from kmsd.resources.site import make_site, origin_form


async def hello(exchange: Exchange) -> Answer:
    address = RequestEvidence(exchange.request).address
    return Answer(body=f"hello {address}".encode(), content_type=b"text/plain")


def root() -> RootResource:
    services = Services(engine=cast("Any", None), stores=cast("Any", None))
    return root_resource(services, [Route("GET", "/hello", Who.ANYONE, hello)])


def asked(site: Any, request: bytes, peer: Any = None) -> bytes:
    wire = StringTransport(lenient=True, peerAddress=peer)
    channel = site.buildProtocol(None)
    channel.makeConnection(wire)
    channel.dataReceived(request)
    value: bytes = wire.value()
    return value


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b?c=http://d/e", b"/a/b?c=http://d/e"),
        (b"http://host/a", b"/a"),
        (b"HTTPS://user@host:1/a/b?c", b"/a/b?c"),
        (b"http://host", b"/"),
        (b"ftp://host/a", b"ftp://host/a"),
        (b"*", b"*"),
    ],
)
def test_a_target_that_names_a_host_means_its_path(target: bytes, path: bytes) -> None:
    assert origin_form(target) == path


def test_absolute_targets_are_answered() -> None:
    request = b"GET http://elsewhere/hello HTTP/1.1\r\nHost: elsewhere\r\n\r\n"
    assert b"hello" in asked(make_site(root(), reactor=Clock()), request)


@pytest.mark.parametrize("target", [b"elsewhere:443", b"?", b"ftp://x/hello", b"hello"])
def test_other_targets_are_not_found(target: bytes) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = asked(make_site(root(), reactor=Clock()), request)
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_options_of_the_server_as_a_whole_are_answered() -> None:
    answer = asked(make_site(root(), reactor=Clock()), b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")


def test_a_request_is_logged_only_when_that_is_asked_for() -> None:
    request = b"GET /hello?secret=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: seven\r\n\r\n"
    peer = IPv4Address("TCP", "192.0.2.7", 4711)
    with capturedLogs() as logs:
        asked(make_site(root(), reactor=Clock()), request, peer)
    assert logs == []
    with capturedLogs() as logs:
        asked(make_site(root(), reactor=Clock(), access_log=True), request, peer)
    [event] = logs
    assert event["log_format"].format(**event) == "192.0.2.7 GET /hello 200 15 seven"


def test_addresses_of_every_kind_of_transport_have_a_text() -> None:
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    site = make_site(root(), reactor=Clock())
    assert asked(site, request, UNIXAddress("/run/kmsd.sock")).endswith(b"hello /run/kmsd.sock")
    assert asked(site, request, UNIXAddress(None)).endswith(b"hello ")


def test_a_bug_before_the_handler_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = root()

    def fail(_request: object) -> None:
        raise RuntimeError("internal detail")

    monkeypatch.setattr(resource, "render", fail)
    with capturedLogs() as logs:
        answer = asked(
            make_site(resource, reactor=Clock()), b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\n")
    assert [event["log_level"] for event in logs] == [LogLevel.critical]


def test_the_factory_leaves_the_reactor_alone() -> None:
    """Twisted's own would tick once a second, for a log file that is not written."""
    clock = Clock()
    site = make_site(root(), reactor=clock)
    site.doStart()
    assert clock.getDelayedCalls() == []
    site.doStop()


def test_http_1_1_is_all_that_is_offered() -> None:
    assert make_site(root(), reactor=Clock()).acceptableProtocols() == [b"http/1.1"]


def test_the_version_names_openssl_as_well() -> None:
    assert version_text("1.2.3").startswith("1.2.3 (OpenSSL ")
