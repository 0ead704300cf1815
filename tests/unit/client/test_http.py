"""The HTTP side of the client, against servers of this process on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from OpenSSL import crypto
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import CertificateOptions, trustRootFromCertificates
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from kmsd.client import ClientError, Http, TlsOptions, Trouble, access, credentials
from kmsd.client.http import refusal
from kmsd.kmip.enums import ResultReason
from kmsd.tls.peer import client_common_name
from tests import pki
from tests.reactor import async_fixture, ensureDeferred, reactor

PATIENCE_SECONDS = 20.0


class Page(Resource):
    """Answers what `answer` makes of a request."""

    isLeaf = True  # noqa: N815

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answer = answer

    def render(self, request: Any) -> Any:
        return self.answer(request)


class Server:
    """A port with a page of one's choice behind it; `url` names it."""

    def __init__(self) -> None:
        self.ports: list[Any] = []

    def __call__(
        self, answer: Callable[[Any], Any], identity: Any = None, client_root: Any = None
    ) -> str:
        site = Site(Page(answer))
        if identity is None:
            self.ports.append(reactor.listenTCP(0, site, interface="127.0.0.1"))
            return f"http://127.0.0.1:{self.ports[-1].getHost().port}"
        context = CertificateOptions(
            privateKey=identity.key,
            certificate=identity.certificate,
            trustRoot=_roots(client_root) if client_root else None,
        )
        self.ports.append(reactor.listenSSL(0, site, context, interface="127.0.0.1"))
        return f"https://localhost:{self.ports[-1].getHost().port}"


def _roots(identity: Any) -> Any:
    certificate = crypto.X509.from_cryptography(identity.certificate)
    return trustRootFromCertificates([TwistedCertificate(certificate)])


@async_fixture
async def serve() -> AsyncIterator[Server]:
    """Serve pages: `serve(answer, identity=…)` gives a URL."""
    server = Server()
    yield server
    for port in server.ports:
        await port.stopListening()


async def _get(url: str, path: str = "/version", **options: Any) -> bytes:
    http = Http(reactor, url, request_seconds=PATIENCE_SECONDS, **options)
    try:
        return await http.request("GET", path)
    finally:
        await http.close()


async def _fails(url: str, **options: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        await _get(url, **options)
    return raised.value


@ensureDeferred
async def test_requests_carry_credentials(serve: Server) -> None:
    """The token and the database secret go with each request, and a path prefix is kept."""
    seen: list[Any] = []

    def answer(request: Any) -> bytes:
        names = ("Authorization", "KmsDatabaseSecret", "DatabaseSecret")
        seen.append([request.path.decode(), *map(request.getHeader, names)])
        return b'"1.0"'

    url = serve(answer)
    headers = credentials(token="t", database_secret="s")
    assert await _get(f"{url}/prefix/", headers=headers) == b'"1.0"'
    assert await _get(url, headers=credentials(token="", database_secret=None)) == b'"1.0"'
    assert seen == [
        ["/prefix/version", "Bearer t", "s", "s"],
        ["/version", None, None, None],
    ]


@ensureDeferred
async def test_connections_are_kept(serve: Server) -> None:
    """Requests one after the other share a connection."""
    peers: list[int] = []

    def answer(request: Any) -> bytes:
        peers.append(request.getClientAddress().port)
        return b""

    http = Http(reactor, serve(answer))
    for _ in range(5):
        await http.request("GET", "/version")
    await http.close()
    assert len(peers) == 5
    assert len(set(peers)) == 1


@ensureDeferred
async def test_a_redirect_is_not_followed(serve: Server) -> None:
    """A token is not taken to another address: a redirect is an error."""

    def answer(request: Any) -> bytes:
        request.redirect(b"http://127.0.0.1:1/")
        return b""

    assert (await _fails(serve(answer))).reason is ResultReason.GENERAL_FAILURE


@ensureDeferred
async def test_silence_is_a_timeout(serve: Server) -> None:
    """A server that does not answer, or not to the end, is given up after the time limit."""

    def half(request: Any) -> Any:
        request.write(b"half an answer")
        return NOT_DONE_YET

    for answer in (lambda _request: NOT_DONE_YET, half):
        http = Http(reactor, serve(answer), request_seconds=0.2)
        with pytest.raises(ClientError) as raised:
            await http.request("GET", "/version")
        assert raised.value.reason is Trouble.TIMEOUT


@ensureDeferred
async def test_a_lost_connection_is_told(serve: Server) -> None:
    """A server that hangs up, is not there, or has a name that nobody knows, is a connection error
    that names the URL.
    """

    def hang_up(request: Any) -> Any:
        request.transport.abortConnection()
        return NOT_DONE_YET

    for url in (serve(hang_up), "http://127.0.0.1:1", "http://nobody.invalid"):
        error = await _fails(url)
        assert error.reason is Trouble.CONNECTION
        assert url in error.message


@pytest.mark.parametrize(
    ("status", "body", "reason", "text"),
    [
        (422, b"Item_Not_Found: no such key", ResultReason.ITEM_NOT_FOUND, "no such key"),
        (401, b"Access denied: not yours", ResultReason.PERMISSION_DENIED, "not yours"),
        (422, b"Invalid Request: no", ResultReason.INVALID_MESSAGE, "Invalid Request: no"),
        (500, b"Internal server error", ResultReason.INTERNAL_SERVER_ERROR, "server error"),
        (401, b"", Trouble.AUTHENTICATION, "access token"),
        (404, b"", Trouble.NOT_A_KMS, "URL"),
        (413, b"", ResultReason.SERVER_LIMIT_EXCEEDED, "413"),
        (502, b"<html>Bad gateway</html>", Trouble.NOT_A_KMS, "proxies"),
        (418, b"teapot: short", ResultReason.GENERAL_FAILURE, "teapot: short"),
        (500, b"\xff\xfe", ResultReason.GENERAL_FAILURE, "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_refusals_have_a_reason(status: int, body: bytes, reason: Any, text: str) -> None:
    """What a server refuses with becomes a reason and a text."""
    error = refusal(status, body)
    assert error.reason is reason
    assert text in error.message


@ensureDeferred
async def test_another_servers_answers_are_told(serve: Server) -> None:
    """What is not JSON, or is no list where one must be, is an error of its own."""
    http = Http(reactor, serve(lambda _request: b"<html>welcome</html>"))
    with pytest.raises(ClientError) as raised:
        await access.owned(http)
    assert raised.value.reason is Trouble.NOT_A_KMS
    http = Http(reactor, serve(lambda _request: b"{}"))
    with pytest.raises(ClientError) as raised:
        await access.owned(http)
    assert raised.value.reason is Trouble.PROTOCOL


@ensureDeferred
async def test_an_answer_without_end_is_cut(serve: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond the limit is not taken in."""
    monkeypatch.setattr("kmsd.client.http.MAXIMUM_ANSWER_BYTES", 1000)
    assert await _get(serve(lambda _request: bytes(1000))) == bytes(1000)
    assert (await _fails(serve(lambda _request: bytes(1001)))).reason is Trouble.PROTOCOL


@pytest.mark.parametrize("url", ["", "kms.example.com", "ftp://kms.example.com"])
def test_a_url_must_be_one(url: str) -> None:
    """What is no HTTP URL is refused with an example of one."""
    with pytest.raises(ClientError, match="http://HOST:PORT") as raised:
        Http(reactor, url)
    assert raised.value.reason is Trouble.SETTINGS


# TLS


@ensureDeferred
async def test_a_server_must_be_trusted(serve: Server) -> None:
    """A certificate is accepted when its authority is named and its name is the URL's."""
    root, other = pki.authority(), pki.authority("other")
    good = serve(lambda _: b"ok", pki.issue(root, "localhost"))
    misnamed = serve(lambda _: b"ok", pki.issue(root, "x", names=("elsewhere.example",)))
    trusting = TlsOptions(authorities=root.pem)
    assert await _get(good, tls=trusting) == b"ok"
    for url, tls in (
        (good, TlsOptions()),
        (good, TlsOptions(authorities=other.pem)),
        (misnamed, trusting),
    ):
        error = await _fails(url, tls=tls)
        assert error.reason is Trouble.TLS
        assert url in error.message
    for url in (good, misnamed):
        assert await _get(url, tls=TlsOptions(accept_invalid_certs=True)) == b"ok"


@ensureDeferred
async def test_a_pinned_certificate_is_the_only_one(serve: Server) -> None:
    """With a pinned certificate no other passes, however trusted; it must still be trusted itself
    unless anything is.
    """
    root = pki.authority()
    identity, twin = pki.issue(root, "localhost"), pki.issue(root, "localhost")
    url = serve(lambda _: b"ok", identity)
    assert await _get(url, tls=TlsOptions(authorities=root.pem, pinned=identity.pem)) == b"ok"
    careless = TlsOptions(accept_invalid_certs=True, pinned=identity.pem)
    assert await _get(url, tls=careless) == b"ok"
    for tls in (
        TlsOptions(authorities=root.pem, pinned=twin.pem),
        TlsOptions(accept_invalid_certs=True, pinned=twin.pem),
        TlsOptions(pinned=identity.pem),
    ):
        assert (await _fails(url, tls=tls)).reason is Trouble.TLS


@ensureDeferred
async def test_a_client_certificate_is_shown(serve: Server) -> None:
    """A server that asks for a certificate sees the one of the PKCS#12 file, and its chain."""
    root = pki.authority()
    middle = pki.authority("middle", root)
    alice = pki.issue(middle, "alice", usages=(pki.CLIENT,))

    def answer(request: Any) -> bytes:
        return (client_common_name(request.transport, int(time.time())) or "nobody").encode()

    url = serve(answer, pki.issue(root, "localhost"), client_root=root)
    container = alice.p12(middle.certificate, encryption=BestAvailableEncryption(b"word"))
    known = TlsOptions(authorities=root.pem, pkcs12=container, pkcs12_password="word")
    assert await _get(url, tls=known) == b"alice"
    assert "word" not in repr(known)


def test_certificate_files_are_looked_at_first(tmp_path: Path) -> None:
    """A wrong password, a file that is none, or one without a key is told before any connection."""
    identity = pki.issue(None, "alice")
    locked = identity.p12(encryption=BestAvailableEncryption(b"word"))
    for tls in (
        TlsOptions(pkcs12=locked, pkcs12_password="wrong"),
        TlsOptions(pkcs12=b"no container"),
        TlsOptions(authorities=b"no certificate"),
        TlsOptions(pinned=b"no certificate"),
    ):
        with pytest.raises(ClientError) as raised:
            Http(reactor, "https://localhost:1", tls=tls)
        assert raised.value.reason is Trouble.SETTINGS
        assert str(tmp_path) not in raised.value.message
