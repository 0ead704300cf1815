"""Reads the name and the protocols a TLS client asks for from its first bytes (RFC 8446 §4.1.2).

Sans-IO: bytes in, `Hello` out. OpenSSL shows neither before it has chosen a certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LARGEST_HELLO_BYTES = 16 << 10

# Clients send one record, rarely two; the limit keeps a hello that trickles in from being read
# over and over.
MOST_RECORDS = 16

_HANDSHAKE = b"\x16\x03"  # record type, and the version's first byte
_CLIENT_HELLO = 1
_RECORD_HEADER_BYTES = 5
_MESSAGE_HEADER_BYTES = 4
_SERVER_NAME = 0
_ALPN = 16
_HOST_NAME = 0


@dataclass(frozen=True)
class Hello:
    """What the client asks for.

    Attributes:
        server_name: as sent, in lower case; empty when not sent.
        protocols: the ALPN list in the client's order.
    """

    server_name: str = ""
    protocols: tuple[bytes, ...] = ()


def parse(data: bytes) -> Hello | None:
    """Return what the first bytes of a connection ask for, or None when more are needed.

    Raises:
        ValueError: this is no ClientHello, or a larger one than any client sends.
    """
    message = _first_message(data)
    return None if message is None else _read(_Bytes(message))


class _Bytes:
    """Takes numbers and length-prefixed vectors off the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self.left() > 0

    def left(self) -> int:
        return len(self._data) - self._at

    def peek(self, count: int) -> bytes:
        return self._data[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        taken = self.peek(count)
        if len(taken) != count:
            raise ValueError("the ClientHello is cut short")
        self._at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Bytes:
        return _Bytes(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(self.left())


def _first_message(data: bytes) -> bytes | None:
    """Join the fragments of the first handshake message, which records may split anywhere."""
    message = bytearray()
    for fragment in _records(data):
        message += fragment
        if message[0] != _CLIENT_HELLO:
            raise ValueError("not a ClientHello")
        whole = _MESSAGE_HEADER_BYTES + int.from_bytes(message[1:_MESSAGE_HEADER_BYTES], "big")
        if len(message) >= max(whole, _MESSAGE_HEADER_BYTES):
            return bytes(message[_MESSAGE_HEADER_BYTES:whole])
    return None


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the contents of the records that are there whole."""
    records = _Bytes(data[:LARGEST_HELLO_BYTES])
    for _ in range(MOST_RECORDS):
        if not _HANDSHAKE.startswith(records.peek(len(_HANDSHAKE))):
            raise ValueError("not a TLS handshake")
        header = records.peek(_RECORD_HEADER_BYTES)
        size = int.from_bytes(header[3:], "big")
        if len(header) < _RECORD_HEADER_BYTES or records.left() < len(header) + size:
            if len(data) >= LARGEST_HELLO_BYTES:
                break
            return
        if not size:
            raise ValueError("an empty handshake record")
        yield records.take(len(header) + size)[len(header) :]
    raise ValueError("the ClientHello is too large")


def _read(hello: _Bytes) -> Hello:
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session id
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression methods
    if not hello:
        return Hello()
    found = dict(_extensions(hello.vector(2)))
    return Hello(_server_name(found.get(_SERVER_NAME)), tuple(_protocols(found.get(_ALPN))))


def _extensions(extensions: _Bytes) -> Iterator[tuple[int, _Bytes]]:
    while extensions:
        yield extensions.number(2), extensions.vector(2)


def _server_name(extension: _Bytes | None) -> str:
    names = extension.vector(2) if extension else _Bytes(b"")
    while names:
        kind, name = names.number(1), names.vector(2).rest()
        if kind == _HOST_NAME:
            return name.decode("ascii").lower()
    return ""


def _protocols(extension: _Bytes | None) -> Iterator[bytes]:
    names = extension.vector(2) if extension else _Bytes(b"")
    while names:
        yield names.vector(1).rest()
