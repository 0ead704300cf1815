"""Binary KMIP over TLS: the client's pool against the server's own protocol and engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions

from kmsd.client import ClientError, KmipKms, KmipPool, TlsOptions, Trouble
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BatchErrorContinuationOption,
    CryptographicAlgorithm,
    ObjectType,
    QueryFunction,
    ResultReason,
)
from kmsd.operations.call import Caller
from kmsd.operations.conversation import converse
from kmsd.operations.create import Create
from kmsd.operations.destroy import Destroy
from kmsd.operations.get import Get
from kmsd.operations.query import Query
from kmsd.protocol import KmipFactory
from kmsd.ttlv import binary_format
from tests import pki
from tests.reactor import async_fixture, ensureDeferred, reactor
from tests.server import Kms, open_kms

ROOT = pki.authority()


class Port:
    """A KMIP port of this process."""

    def __init__(self, kms: Kms, port: Any) -> None:
        self.kms = kms
        self.port = port
        self.connections = 0

    @property
    def number(self) -> int:
        number: int = self.port.getHost().port
        return number

    def pool(self, **options: Any) -> KmipPool:
        tls = options.pop("tls", TlsOptions(authorities=ROOT.pem))
        return KmipPool(reactor, "localhost", self.number, tls=tls, **options)


@async_fixture
async def kmip(tmp_path: Path) -> AsyncIterator[Port]:
    """A TLS port that answers KMIP from a real engine and store."""
    kms = await open_kms(tmp_path)

    async def answer(_connection: Any, message: bytes) -> bytes:
        caller = Caller("alice")
        return await converse(kms.engine, binary_format, message, caller, kms.store)

    identity = pki.issue(ROOT, "localhost")
    context = CertificateOptions(
        privateKey=identity.key,
        certificate=identity.certificate,  # type: ignore[arg-type]
    )
    factory = KmipFactory(answer)
    port = Port(kms, reactor.listenSSL(0, factory, context, interface="127.0.0.1"))
    build = factory.buildProtocol

    def counted(address: Any) -> Any:
        port.connections += 1
        return build(address)

    factory.buildProtocol = counted  # type: ignore[method-assign, assignment]
    yield port
    await port.port.stopListening()
    await kms.close()


def _create(uid: str) -> Create:
    return Create(
        object_type=ObjectType.SYMMETRIC_KEY,
        attributes=Attributes(
            unique_identifier=uid,
            cryptographic_algorithm=CryptographicAlgorithm.AES,
            cryptographic_length=256,
        ),
    )


@ensureDeferred
async def test_operations_are_carried_out(kmip: Port) -> None:
    """A request gives its response structure, on one connection for one after the other."""
    pool = kmip.pool()
    kms = KmipKms(pool.exchange)
    made = await kms(_create("k"))
    assert made.unique_identifier == "k"
    got = await kms(Get(unique_identifier="k"))
    assert got.managed_object.key_block.cryptographic_length == 256
    answer = await kms(Query(query_function=(QueryFunction.QUERY_OPERATIONS,)))
    assert answer.operation
    assert kmip.connections == 1
    await pool.close()


@ensureDeferred
async def test_a_failed_operation_raises_its_reason(kmip: Port) -> None:
    """What the server refuses is raised with its reason and its text."""
    pool = kmip.pool()
    with pytest.raises(ClientError, match="nobody") as raised:
        await KmipKms(pool.exchange)(Get(unique_identifier="nobody"))
    assert raised.value.reason is ResultReason.OBJECT_NOT_FOUND
    await pool.close()


@ensureDeferred
async def test_batches_tell_each_answer(kmip: Port) -> None:
    """In a batch each request has its answer or its error; by default the first error stops it."""
    pool = kmip.pool()
    kms = KmipKms(pool.exchange)
    requests = (_create("a"), Get(unique_identifier="nobody"), _create("b"))
    first, second, third = await kms.batch(*requests)
    assert first.unique_identifier == "a"
    assert second.reason is ResultReason.OBJECT_NOT_FOUND
    assert isinstance(third, ClientError)
    again = (Destroy(unique_identifier="a"), *requests[1:])
    answers = await kms.batch(*again, on_error=BatchErrorContinuationOption.CONTINUE)
    assert [isinstance(each, ClientError) for each in answers] == [False, True, False]
    await pool.close()


@ensureDeferred
async def test_a_message_that_fails_as_a_whole_raises(kmip: Port) -> None:
    """A version that the server does not speak fails the message, and so the call."""
    pool = kmip.pool()
    with pytest.raises(ClientError) as raised:
        await KmipKms(pool.exchange, version=(9, 9)).batch(_create("a"), _create("b"))
    assert "9.9" in raised.value.message
    await pool.close()


@ensureDeferred
async def test_the_pool_is_bounded_and_reused(kmip: Port) -> None:
    """Forty requests at once share three connections, and all are answered."""
    pool = kmip.pool(size=3)
    kms = KmipKms(pool.exchange)
    made = await gatherResults(
        [Deferred.fromCoroutine(kms(_create(f"key-{number}"))) for number in range(40)]
    )
    assert [each.unique_identifier for each in made] == [f"key-{number}" for number in range(40)]
    assert kmip.connections == 3
    await pool.close()


@ensureDeferred
async def test_a_server_that_is_not_trusted_gets_nothing(kmip: Port) -> None:
    """A certificate of an unknown authority ends the connection before anything is sent."""
    for tls in (TlsOptions(), TlsOptions(authorities=pki.authority("other").pem)):
        pool = kmip.pool(tls=tls)
        with pytest.raises(ClientError) as raised:
            await KmipKms(pool.exchange)(_create("k"))
        assert raised.value.reason is Trouble.TLS


class _Strange(Protocol):
    """Answers whatever it is told to."""

    answer: bytes | None = None

    def dataReceived(self, _data: bytes) -> None:  # noqa: N802
        assert self.transport is not None
        if self.answer is None:
            self.transport.loseConnection()
        else:
            self.transport.write(self.answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, Trouble.CONNECTION),
        (b"", Trouble.TIMEOUT),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Trouble.PROTOCOL),
        (bytes.fromhex("42007B0100000000"), Trouble.PROTOCOL),
        (bytes.fromhex("42007B01") + b"\xff" * 8, Trouble.PROTOCOL),
    ],
)
@ensureDeferred
async def test_strange_answers_are_errors(answer: bytes | None, reason: Trouble) -> None:
    """A server that hangs up, is silent or talks nonsense fails the request, and only that."""
    factory = Factory.forProtocol(_Strange)
    _Strange.answer = answer
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    pool = KmipPool(reactor, "strange", endpoint=endpoint, size=1, request_seconds=0.3)
    for _ in range(2):  # the second one gets a turn although the first one failed
        with pytest.raises(ClientError) as raised:
            await KmipKms(pool.exchange)(_create("k"))
        assert raised.value.reason is reason
    await pool.close()
    await port.stopListening()


@ensureDeferred
async def test_a_port_that_is_closed_is_told() -> None:
    """Where nobody listens, the error names the address."""
    pool = KmipPool(reactor, "127.0.0.1", 1)
    with pytest.raises(ClientError, match=r"127\.0\.0\.1:1") as raised:
        await pool.exchange(b"")
    assert raised.value.reason is Trouble.CONNECTION
