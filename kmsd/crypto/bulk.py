"""BulkData: many plaintexts or ciphertexts in one Data field.

`87 87`, then the count, then each item after its length, numbers in unsigned LEB128. There is no
escape: data of a client that happens to begin with the magic and to parse to its last byte is taken
for bulk. Source: the product's wire format.
"""

from collections.abc import Sequence

from kmsd.crypto.errors import bad_parameters
from kmsd.kmip.errors import KmipError

MAGIC = b"\x87\x87"
_WIDEST = 10  # bytes of a 64-bit number
_CONTINUED = 0x80
_LARGEST = 1 << 64


def is_bulk(data: bytes) -> bool:
    """Tell whether `data` is a BulkData: it has the magic and parses to the last byte."""
    if not data.startswith(MAGIC):
        return False
    try:
        parse(data)
    except KmipError:
        return False
    return True


def parse(data: bytes) -> list[bytes]:
    """Return the items.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: not a BulkData, or bytes left over.
    """
    if not data.startswith(MAGIC):
        raise _malformed()
    count, at = read_number(data, len(MAGIC))
    if count > len(data) - at:  # each item takes a byte at least: refuse before counting on
        raise _malformed()
    items = []
    for _ in range(count):
        item, at = read_bytes(data, at)
        items.append(item)
    if at != len(data):
        raise _malformed()
    return items


def build(items: Sequence[bytes]) -> bytes:
    """Return `items` as one BulkData."""
    parts = [MAGIC, number(len(items))]
    for item in items:
        parts += (number(len(item)), item)
    return b"".join(parts)


def number(value: int) -> bytes:
    """Write an unsigned LEB128 number."""
    out = bytearray()
    while value >= _CONTINUED:
        out.append(value & 0x7F | _CONTINUED)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_number(data: bytes, at: int = 0) -> tuple[int, int]:
    """Read an unsigned LEB128 number of at most 64 bits at `at`; return it and where it ends."""
    value = 0
    for shift, byte in enumerate(data[at : at + _WIDEST]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < _CONTINUED:
            if value >= _LARGEST:
                break
            return value, at + shift + 1
    raise _malformed()


def read_bytes(data: bytes, at: int = 0) -> tuple[bytes, int]:
    """Read a length and as many bytes at `at`; return them and where they end."""
    size, at = read_number(data, at)
    if size > len(data) - at:
        raise _malformed()
    return data[at : at + size], at + size


def _malformed() -> KmipError:
    return bad_parameters("malformed data: its lengths do not add up")
