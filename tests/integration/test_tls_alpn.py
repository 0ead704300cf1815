"""TLS-ALPN-01 and HTTP-01 as an authority, a client and a stranger meet them."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.threads import deferToThread

from kmsd.acme import tls_alpn
from kmsd.acme.client_hello import Hello
from kmsd.acme.http01 import Http01Responder
from kmsd.acme.tls_alpn import ChallengeFactory, PendingChallenges, challenge_pem
from kmsd.tls.credentials import assemble
from kmsd.tls.server import ServerTLS, ServerTLSFactory
from tests import pki

HOST = "kms.example.test"
CLOCK = IReactorTime(reactor)
ROOT = pki.authority("root")


class Listening(Protocol):
    """Notes that it was connected and what it was told; answers `hello`."""

    def connectionMade(self) -> None:  # noqa: N802
        self.factory.seen.append(b"connected")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.factory.seen.append(data)
        self.transport.write(b"hello")  # type: ignore[union-attr]


class Factory(ServerFactory):
    protocol = Listening
    noisy = False

    def __init__(self) -> None:
        self.seen: list[bytes] = []


@asynccontextmanager
async def serving(
    folder: Path, wrapped: ServerFactory | None = None
) -> AsyncIterator[tuple[int, PendingChallenges, Factory]]:
    application = Factory()
    identity = pki.issue(ROOT, HOST, names=(HOST,))
    tls = ServerTLS(assemble(Path("x"), identity.key, [identity.certificate]))
    pending = PendingChallenges(folder)
    secured = wrapped or ServerTLSFactory(tls, application, CLOCK)
    inner = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = await inner.listen(ChallengeFactory(pending, secured, CLOCK))
    try:
        yield port.getHost().port, pending, application
    finally:
        await port.stopListening()


def peer(port: int, protocols: list[bytes], send: bytes = b"") -> tuple[x509.Certificate, bytes]:
    """Shake hands offering `protocols`, send something; return certificate and answer."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if protocols:
        context.set_alpn_protos(protocols)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.settimeout(None)
        connection = SSL.Connection(context, raw)
        connection.set_tlsext_host_name(HOST.encode())
        connection.set_connect_state()
        connection.do_handshake()
        certificate = connection.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        assert connection.get_alpn_proto_negotiated() in {b"", *protocols}
        try:
            connection.send(send)
            return certificate, connection.recv(100)
        except SSL.Error:
            return certificate, b""


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_the_authority_sees_the_proof_and_nothing_else(tmp_path: Path) -> None:
    """RFC 8737's certificate is shown, the connection closed, and no data reaches the server."""
    async with serving(tmp_path) as (port, pending, application):
        pending.put(HOST, challenge_pem(HOST, "token.thumbprint", dt.datetime.now(dt.UTC)))
        certificate, answer = await deferToThread(peer, port, [b"acme-tls/1"], b"GET / HTTP/1.0")
        assert (answer, application.seen) == (b"", [])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == [HOST]
        oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
        proof: Any = certificate.extensions.get_extension_for_oid(oid)
        digest = hashlib.sha256(b"token.thumbprint").digest()
        assert (proof.critical, proof.value.value) == (True, b"\x04\x20" + digest)
        assert len(list(certificate.extensions)) == 2


@pytest.mark.parametrize("protocols", [[], [b"http/1.1"], [b"h2", b"acme-tls/1"]])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_clients_are_served_while_a_challenge_is_pending(
    tmp_path: Path, protocols: list[bytes]
) -> None:
    """Who does not ask for exactly the challenge gets the server's certificate and an answer."""
    async with serving(tmp_path) as (port, pending, application):
        pending.put(HOST, challenge_pem(HOST, "token.thumbprint", dt.datetime.now(dt.UTC)))
        certificate, answer = await deferToThread(peer, port, protocols, b"question")
        assert certificate.issuer == ROOT.certificate.subject
        assert (answer, application.seen) == (b"hello", [b"connected", b"question"])


def test_only_a_pending_challenge_is_found(tmp_path: Path) -> None:
    """Another name, a name that is a path, no name, and a dropped challenge find nothing."""
    pending = PendingChallenges(tmp_path)
    pending.put(HOST, challenge_pem(HOST, "a.b", dt.datetime.now(dt.UTC)))
    protocols = (b"acme-tls/1",)
    first = pending.find(Hello(HOST, protocols))
    assert first is not None
    assert pending.find(Hello(HOST, protocols)) is first
    for name in ("other.test", "", f"../{tmp_path.name}/{HOST}", "a\0b", "x" * 300):
        assert pending.find(Hello(name, protocols)) is None
    pending.put(HOST, challenge_pem(HOST, "c.d", dt.datetime.now(dt.UTC)))
    assert pending.find(Hello(HOST, protocols)) not in {None, first}
    pending.file(HOST).write_bytes(b"junk")
    assert pending.find(Hello(HOST, protocols)) is None
    pending.drop(HOST)
    pending.drop(HOST)
    assert pending.find(Hello(HOST, protocols)) is None


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_hello_may_come_byte_by_byte(tmp_path: Path) -> None:
    """A ClientHello in as many segments as it has bytes is put together again."""

    def slowly(port: int) -> bytes:
        context = ssl.create_default_context(cadata=ROOT.pem.decode())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        wrapped = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            step: Any = wrapped.do_handshake
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        raw.send(bytes([byte]))
                    incoming.write(raw.recv(65536))
                    continue
                if step != wrapped.do_handshake:
                    return bytes(result)
                wrapped.write(b"question")
                raw.sendall(outgoing.read())
                step = wrapped.read

    async with serving(tmp_path) as (port, _, _application):
        assert await deferToThread(slowly, port) == b"hello"


def exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(data)
        try:
            return b"".join(iter(lambda: raw.recv(4096), b""))
        except ConnectionResetError:
            return b"reset"


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_what_is_no_tls_is_answered_by_tls(tmp_path: Path) -> None:
    """Plain HTTP on the port ends as without the challenge: OpenSSL closes the connection."""
    async with serving(tmp_path) as (port, _, application):
        answer = await deferToThread(exchange, port, b"GET / HTTP/1.0\r\n\r\n")
        assert b"hello" not in answer
        assert application.seen == [b"connected"]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_silence_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends nothing, or not all of its hello, does not hold a connection."""
    monkeypatch.setattr(tls_alpn, "HELLO_SECONDS", 0.3)
    async with serving(tmp_path) as (port, _, application):
        for data in (b"", b"\x16\x03\x01\x02\x00\x01"):
            start = time.monotonic()
            assert await deferToThread(exchange, port, data) in {b"reset", b""}
            assert time.monotonic() - start < 5
        assert application.seen == []


class Full(Factory):
    """A factory that takes no more connections."""

    def buildProtocol(self, addr: Any) -> None:  # noqa: ARG002, N802
        return None


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_full_factory_ends_the_connection(tmp_path: Path) -> None:
    """Where the wrapped factory refuses a connection, the client is cut off."""
    async with serving(tmp_path, Full()) as (port, _, _application):
        with pytest.raises((SSL.Error, OSError)):
            await deferToThread(peer, port, [], b"x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/.well-known/acme-challenge/a-token_of-22-characters", (200, b"answer")),
        ("/.well-known/acme-challenge/another-token-of-22-chars", (404, None)),
        ("/.well-known/acme-challenge/short", (404, None)),
        ("/.well-known/acme-challenge/..%2F..%2Fetc%2Fpasswd%00aaaaaaaaaaa", (404, None)),
        ("/.well-known/acme-challenge/%ff%fe%fd%fc%ff%fe%fd%fc%ff%fe%fd%fc%ff%fe%fd%fc%ff%fe%fd%fc%ff%ff",
         (404, None)),
        ("/.well-known/acme-challenge/", (404, None)),
        ("/a-token_of-22-characters", (404, None)),
        ("/.well-known/", (404, None)),
        ("/", (404, None)),
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_http01_shows_pending_tokens_only(
    tmp_path: Path, path: str, expected: tuple[int, bytes | None]
) -> None:
    """Only a token that is pending is answered; nothing else of the folder can be read."""
    responder = Http01Responder(tmp_path)
    responder.file("a-token_of-22-characters").write_bytes(b"answer")
    inner = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = await inner.listen(responder.site)
    request = f"GET {path} HTTP/1.0\r\n\r\n".encode()
    try:
        answer = await deferToThread(exchange, port.getHost().port, request)
    finally:
        await port.stopListening()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == expected[0]
    assert expected[1] in {None, body}
