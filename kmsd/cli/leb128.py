"""Lengths before what they are the length of, as the product's formats have them: LEB128."""

from __future__ import annotations

from typing import BinaryIO

from kmsd.cli.errors import CommandFailed
from kmsd.crypto import bulk
from kmsd.kmip.errors import KmipError

_WIDEST = 10
_LARGEST_PART = 1 << 20


def prefixed(data: bytes) -> bytes:
    """Return data after its length."""
    return bulk.number(len(data)) + data


def read_part(file: BinaryIO) -> bytes:
    """Read data after its length from a file. Raises: CommandFailed: it is malformed."""
    head = bytearray()
    while len(head) < _WIDEST:
        byte = file.read(1)
        head += byte
        if not byte or byte[0] < 0x80:  # noqa: PLR2004 (the last byte of a number)
            break
    try:
        length, _ = bulk.read_number(bytes(head))
    except KmipError:
        raise malformed() from None
    if length > _LARGEST_PART:
        raise malformed()
    part = file.read(length)
    if len(part) != length:
        raise malformed()
    return part


def split(data: bytes) -> tuple[bytes, bytes]:
    """Return the part at the start of `data`, and the rest. Raises: CommandFailed."""
    try:
        part, end = bulk.read_bytes(data)
    except KmipError:
        raise malformed() from None
    return part, data[end:]


def listed(items: list[bytes]) -> bytes:
    """Return a list: its count, then each item after its length."""
    return bulk.number(len(items)) + b"".join(map(prefixed, items))


def unlisted(data: bytes) -> list[bytes]:
    """Return the items of a list. Raises: CommandFailed."""
    try:
        count, at = bulk.read_number(data)
        items = []
        for _ in range(count):
            item, at = bulk.read_bytes(data, at)
            items.append(item)
    except KmipError:
        raise malformed() from None
    return items


def malformed() -> CommandFailed:
    """Return the error for a file that is not in its format."""
    return CommandFailed("the file is cut short, or was not encrypted this way")
