"""Iteration counts in a PKCS#12, read before anybody iterates.

A file may ask for 2^31 rounds of a key derivation, which would hold a worker for half an hour. So
every salt followed by a number is looked at, wherever it stands in clear: in the MAC, in the
parameters of encrypted parts. Files may be DER or BER: lengths left open, strings in pieces.
"""

from collections.abc import Iterator

from kmsd.crypto.errors import invalid_key

MOST_ITERATIONS = 10_000_000
_MOST_DEPTH = 24
_INTEGER, _OCTETS = 0x02, 0x04
_CONSTRUCTED = 0x20
_END = b"\0\0"


def check_iterations(data: bytes) -> None:
    """Refuse a PKCS#12 with more than `MOST_ITERATIONS`, or that is no BER; INVALID_FIELD."""
    try:
        _walk(data, 0)
    except (IndexError, RecursionError):
        raise invalid_key("not a PKCS#12 of this password") from None


def _walk(data: bytes, depth: int) -> None:
    """Look at elements in a row, and into those that hold others."""
    if depth > _MOST_DEPTH:
        raise IndexError
    before = -1
    for tag, content in _elements(data):
        if tag == _INTEGER and before & ~_CONSTRUCTED == _OCTETS:
            if int.from_bytes(content) > MOST_ITERATIONS:
                raise invalid_key(
                    f"a PKCS#12 with more than {MOST_ITERATIONS} iterations is not opened"
                )
        elif tag & _CONSTRUCTED:
            _walk(_joined(content) if tag == _OCTETS | _CONSTRUCTED else content, depth + 1)
        elif tag == _OCTETS and content[:1] == b"\x30":
            _try(content, depth + 1)
        before = tag


def _try(content: bytes, depth: int) -> None:
    """Look into a string that may hold elements, or ciphertext that only looks so."""
    try:
        _walk(content, depth)
    except IndexError:
        return


def _joined(content: bytes) -> bytes:
    """Put a string in pieces together."""
    return b"".join(piece for _, piece in _elements(content))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut BER into tags and contents; IndexError where it is none."""
    at = 0
    while at < len(data):
        tag, content, at = _element(data, at)
        yield tag, content


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Read one element; return also where the next begins."""
    tag, size = data[at], data[at + 1]
    at += 2
    if size == 0x80:  # noqa: PLR2004 - indefinite: up to the end-of-contents mark
        start = at
        while data[at : at + 2] != _END:
            at = _element(data, at)[2]
        return tag, data[start:at], at + 2
    if size > 0x80:  # noqa: PLR2004 - the long form
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count]), at + count
    if at + size > len(data):
        raise IndexError
    return tag, data[at : at + size], at + size
