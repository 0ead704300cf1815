"""Bounds of CoverCrypt's serialised keys and headers, checked before the Rust engine sees them.

The engine trusts the counts in its input: a forged one makes it reserve gigabytes and takes the
process down, which nothing can catch. So every count is first shown to fit the bytes that are
there. The layouts are those of the crate's version 14: numbers are LEB128, a key is a flag and a
curve element, with ML-KEM material beside it where the flag says so.
"""

from typing import NamedTuple

from kmsd.crypto.bulk import read_bytes, read_number
from kmsd.crypto.errors import bad_parameters
from kmsd.kmip.errors import KmipError

_ELEMENT = 32
_TAG = 16


class _Sizes(NamedTuple):
    """Bytes of a plain and of a hybridised entry."""

    classic: int
    hybridized: int


_SECRET = _Sizes(_ELEMENT, _ELEMENT + 1152)
_PUBLIC = _Sizes(_ELEMENT, _ELEMENT + 1184)
_SEALED = _Sizes(_ELEMENT, 1088)


def check_master_secret_key(data: bytes) -> None:
    """Refuse what is not laid out as a master secret key: three scalars, chains, a signing key."""
    at = _chains(data, 3 * _ELEMENT, _SECRET)
    _require(len(data) - at in {0, 16})


def check_master_public_key(data: bytes) -> None:
    """Refuse what is not laid out as a master public key: two points, one key per right."""
    count, at = _count(data, 2 * _ELEMENT)
    for _ in range(count):
        _, at = read_bytes(data, at)
        at = _entry(data, at, _PUBLIC)
    _require(at == len(data))


def check_user_key(data: bytes) -> None:
    """Refuse what is not laid out as a user key: two scalars, chains, a signature."""
    at = _chains(data, 2 * _ELEMENT, _SECRET)
    _require(len(data) - at in {0, 32})


def header_end(data: bytes) -> int:
    """Return where the encrypted header ends and the symmetric block begins.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: this is no header.
    """
    count, at = _count(data, 2 * _ELEMENT + _TAG)
    for _ in range(count):
        at = _entry(data, at, _SEALED)
    return read_bytes(data, at)[1]


def _chains(data: bytes, at: int, sizes: _Sizes) -> int:
    """Walk over rights, each with the chain of its keys, newest first."""
    count, at = _count(data, at)
    for _ in range(count):
        _, at = read_bytes(data, at)
        length, at = _count(data, at)
        for _ in range(length):
            at = _entry(data, at, sizes)
    return at


def _count(data: bytes, at: int) -> tuple[int, int]:
    """Read a count that the bytes left can hold."""
    count, at = read_number(data, at)
    _require(count <= len(data) - at)
    return count, at


def _entry(data: bytes, at: int, sizes: _Sizes) -> int:
    """Step over a flag and what it announces."""
    flag = data[at : at + 1]
    _require(flag in {b"\0", b"\1"})
    at += 1 + (sizes.hybridized if flag == b"\1" else sizes.classic)
    _require(at <= len(data))
    return at


def _require(holds: bool) -> None:  # noqa: FBT001 - a statement about bytes
    if not holds:
        raise _malformed()


def _malformed() -> KmipError:
    return bad_parameters("not CoverCrypt data of version 14")
