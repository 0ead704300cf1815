"""The reader of ClientHellos against OpenSSL's own, cut and damaged."""

from __future__ import annotations

import random
import ssl

import pytest

from kmsd.acme.client_hello import LARGEST_HELLO_BYTES, MOST_RECORDS, Hello, parse


def hello(name: str | None, protocols: list[str] | None = None) -> bytes:
    """Return the first flight of OpenSSL's client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


CHALLENGE = hello("KMS.Example.Test", ["acme-tls/1"])
EXPECTED = Hello("kms.example.test", (b"acme-tls/1",))


def in_records(data: bytes, size: int) -> bytes:
    """Cut the handshake message of one record into records of `size` bytes."""
    message = data[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)


@pytest.mark.parametrize(
    ("name", "protocols", "expected"),
    [
        ("kms.test", None, Hello("kms.test")),
        (None, ["h2", "http/1.1"], Hello("", (b"h2", b"http/1.1"))),
        (None, None, Hello()),
        ("a.b", ["acme-tls/1"], Hello("a.b", (b"acme-tls/1",))),
    ],
)
def test_name_and_protocols_are_read(
    name: str | None, protocols: list[str] | None, expected: Hello
) -> None:
    """What OpenSSL's client sends is what is found."""
    assert parse(hello(name, protocols)) == expected


def test_a_cut_hello_waits_for_the_rest() -> None:
    """Every beginning of a hello wants more; the whole, and what follows it, does not."""
    for end in range(len(CHALLENGE)):
        assert parse(CHALLENGE[:end]) is None, end
    assert parse(CHALLENGE + b"more") == EXPECTED


def test_a_hello_in_several_records_is_joined() -> None:
    """Records may cut the message anywhere, up to a number no client reaches."""
    size = len(CHALLENGE) // (MOST_RECORDS - 1)
    for each in (size, size * 2, 100, 200):
        cut = in_records(CHALLENGE, each)
        assert parse(cut) == EXPECTED
        for end in range(0, len(cut), 7):
            assert parse(cut[:end]) is None
    with pytest.raises(ValueError, match="too large"):
        parse(in_records(CHALLENGE, 3))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + bytes(LARGEST_HELLO_BYTES),
    ],
)
def test_what_is_no_hello_is_an_error(data: bytes) -> None:
    """Plain HTTP, another record, another message and an endless one are told apart at once."""
    with pytest.raises(ValueError, match=r"Hello|handshake"):
        parse(data)


def test_damage_never_does_worse_than_a_value_error() -> None:
    """20,000 hellos with a few changed bytes parse, wait or raise ValueError, nothing else."""
    source = random.Random(8737)  # noqa: S311 - repeatable
    results = {"hello": 0, "more": 0, "error": 0}
    for _ in range(20_000):
        data = bytearray(CHALLENGE)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            results["more" if parse(bytes(data)) is None else "hello"] += 1
        except ValueError:
            results["error"] += 1
    assert all(results.values()), results
