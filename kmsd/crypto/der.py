"""The little DER that the library does not read or write: containers of post-quantum keys.

Only what RFC 5958 (private keys) and RFC 5280 (public keys) wrap around raw bytes; definite
lengths, one algorithm without parameters.
"""

from kmsd.crypto.errors import invalid_key

INTEGER, BIT_STRING, OCTET_STRING, OID, SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30
_LONG = 0x80
_MOST_LENGTH_BYTES = 3


def encode(tag: int, *parts: bytes) -> bytes:
    """Return a DER element with the parts as its content."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG | len(length))) + length + content


def decode(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split `data` into the content of its first element, which has this tag, and what follows.

    Raises:
        KmipError: INVALID_FIELD.
    """
    if len(data) < 2 or data[0] != tag:  # noqa: PLR2004 - a tag and a length
        raise invalid_key("not the DER structure that was announced")
    size, start = data[1], 2
    if size >= _LONG:
        count = size & 0x7F
        if not 1 <= count <= _MOST_LENGTH_BYTES:
            raise invalid_key("not the DER structure that was announced")
        start += count
        size = int.from_bytes(data[2:start])
    if start + size > len(data):
        raise invalid_key("the DER structure is truncated")
    return data[start : start + size], data[start + size :]


def oid(dotted: str) -> bytes:
    """Return an object identifier as a DER element."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | _LONG)
        out += bytes(reversed(groups))
    return encode(OID, bytes(out))


def private_key(identifier: str, content: bytes) -> bytes:
    """Return a PKCS#8 OneAsymmetricKey, version 0. Source: RFC 5958 §2."""
    algorithm = encode(SEQUENCE, oid(identifier))
    return encode(SEQUENCE, encode(INTEGER, b"\0"), algorithm, encode(OCTET_STRING, content))


def public_key(identifier: str, content: bytes) -> bytes:
    """Return a SubjectPublicKeyInfo. Source: RFC 5280 §4.1."""
    algorithm = encode(SEQUENCE, oid(identifier))
    return encode(SEQUENCE, algorithm, encode(BIT_STRING, b"\0", content))


def read_private_key(data: bytes) -> tuple[bytes, bytes]:
    """Return the algorithm's object identifier (as an element) and the content."""
    inner, _ = decode(data, SEQUENCE)
    _, rest = decode(inner, INTEGER)
    algorithm, rest = decode(rest, SEQUENCE)
    content, _ = decode(rest, OCTET_STRING)
    return encode(OID, decode(algorithm, OID)[0]), content


def read_public_key(data: bytes) -> tuple[bytes, bytes]:
    """Return the algorithm's object identifier (as an element) and the content."""
    inner, _ = decode(data, SEQUENCE)
    algorithm, rest = decode(inner, SEQUENCE)
    bits, _ = decode(rest, BIT_STRING)
    if bits[:1] != b"\0":
        raise invalid_key("a public key is a whole number of bytes")
    return encode(OID, decode(algorithm, OID)[0]), bits[1:]
