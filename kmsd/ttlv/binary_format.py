"""Binary TTLV: items to bytes and back, and the cutting of a byte stream into messages.

Source: KMIP 2.1 §10.1.
"""

import struct
from collections.abc import Iterator
from typing import cast

from kmsd.ttlv import Item, ItemType, TtlvError
from kmsd.ttlv.tags import TAGS, tag_name

MAXIMUM_DEPTH = 32
_HEADER = struct.Struct(">I I")  # tag and type in one word, then the length
_HEADER_SIZE = 8
_FIXED: dict[ItemType, struct.Struct] = {
    ItemType.INTEGER: struct.Struct(">i4x"),
    ItemType.LONG_INTEGER: struct.Struct(">q"),
    ItemType.ENUMERATION: struct.Struct(">I4x"),
    ItemType.BOOLEAN: struct.Struct(">Q"),
    ItemType.DATE_TIME: struct.Struct(">q"),
    ItemType.INTERVAL: struct.Struct(">I4x"),
    ItemType.DATE_TIME_EXTENDED: struct.Struct(">q"),
}
_SHORT = frozenset({ItemType.INTEGER, ItemType.ENUMERATION, ItemType.INTERVAL})
_TYPES = {int(item_type): item_type for item_type in ItemType}


def encode(item: Item) -> bytes:
    """Return `item` as binary TTLV.

    Raises:
        TtlvError: a value does not fit its type, or a tag or enumeration has no number.
    """
    parts: list[bytes] = []
    _encode(item, parts)
    return b"".join(parts)


def _encode(item: Item, parts: list[bytes]) -> int:
    """Append the bytes of `item` to `parts` and return how many they are."""
    word = _tag_number(item.tag) << 8 | item.type
    if item.type is ItemType.STRUCTURE:
        at = len(parts)
        parts.append(b"")
        length = sum(_encode(child, parts) for child in item.children)
        parts[at] = _HEADER.pack(word, length)
        return _HEADER_SIZE + length
    fixed = _FIXED.get(item.type)
    if fixed is not None:
        parts.append(_HEADER.pack(word, 4 if item.type in _SHORT else 8) + _pack(fixed, item))
        return _HEADER_SIZE + 8
    raw = _bytes_of(item)
    padding = -len(raw) % 8
    parts.append(_HEADER.pack(word, len(raw)) + raw + bytes(padding))
    return _HEADER_SIZE + len(raw) + padding


def _tag_number(tag: str) -> int:
    row = TAGS.get(tag)
    if row is not None:
        return row.number
    if tag.startswith("0x"):
        return int(tag, 16)
    raise TtlvError(f"{tag} has no number in binary TTLV")


def _pack(fixed: struct.Struct, item: Item) -> bytes:
    try:
        return fixed.pack(item.value)
    except struct.error:
        raise TtlvError(f"the value of {item.tag} does not fit a {item.type.wire_name}") from None


def _bytes_of(item: Item) -> bytes:
    if isinstance(item.value, bytes):
        return item.value
    if isinstance(item.value, str):
        return item.value.encode()
    number = cast("int", item.value)  # BigInteger: two's complement, filled up to 8 bytes
    return number.to_bytes((number.bit_length() // 64 + 1) * 8, "big", signed=True)


def decode(data: bytes | memoryview) -> Item:
    """Return the one item that `data` holds.

    Raises:
        TtlvError: it is not one whole item, or is nested deeper than 32 levels.
    """
    view = memoryview(data)
    item, end = _decode(view, 0, len(view), 0)
    if end != len(view):
        raise TtlvError(f"{len(view) - end} bytes follow the message")
    return item


def _decode(view: memoryview, at: int, end: int, depth: int) -> tuple[Item, int]:
    """Read the item at `at`, which must end by `end`; return it and where it ends."""
    if depth >= MAXIMUM_DEPTH:
        raise TtlvError(f"the message is nested deeper than {MAXIMUM_DEPTH} levels")
    if end - at < _HEADER_SIZE:
        raise TtlvError("the message is cut short")
    word, length = _HEADER.unpack_from(view, at)
    tag = tag_name(word >> 8)
    item_type = _TYPES.get(word & 0xFF)
    at += _HEADER_SIZE
    if item_type is None:
        raise TtlvError(f"{tag} has no known type")
    stop = at + length
    after = stop + -length % 8
    if after > end:
        raise TtlvError(f"{tag} is longer than what holds it")
    if item_type is ItemType.STRUCTURE:
        return Item(tag, item_type, _children(view, at, stop, depth + 1)), stop
    if any(view[stop:after]):
        raise TtlvError(f"the padding of {tag} is not zero")
    return _leaf(tag, item_type, view[at:stop]), after


def _children(view: memoryview, at: int, stop: int, depth: int) -> list[Item]:
    children: list[Item] = []
    while at < stop:
        child, at = _decode(view, at, stop, depth)
        children.append(child)
    return children


def _leaf(tag: str, item_type: ItemType, raw: memoryview) -> Item:
    fixed = _FIXED.get(item_type)
    if fixed is not None:
        if len(raw) != (4 if item_type in _SHORT else 8):
            raise TtlvError(f"{tag} has the wrong length for a {item_type.wire_name}")
        (number,) = fixed.unpack(bytes(raw).ljust(8, b"\0"))
        return Item(
            tag, item_type, _boolean(tag, number) if item_type is ItemType.BOOLEAN else number
        )
    if item_type is ItemType.BYTE_STRING:
        return Item(tag, item_type, bytes(raw))
    if item_type is ItemType.TEXT_STRING:
        return Item(tag, item_type, _text(tag, raw))
    if not raw or len(raw) % 8:
        raise TtlvError(f"{tag} has the wrong length for a BigInteger")
    return Item(tag, item_type, int.from_bytes(raw, "big", signed=True))


def _boolean(tag: str, number: int) -> bool:
    if number > 1:
        raise TtlvError(f"{tag} is neither true nor false")
    return bool(number)


def _text(tag: str, raw: memoryview) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise TtlvError(f"{tag} is not UTF-8") from None


class Framer:
    """Cuts a stream of bytes into messages; does no I/O.

    `maximum_bytes` bounds one message: a longer one is refused when its header is seen, before
    its body is kept.
    """

    def __init__(self, maximum_bytes: int) -> None:
        """Start with nothing received."""
        self._buffer = bytearray()
        self._maximum_bytes = maximum_bytes

    @property
    def is_within(self) -> bool:
        """Whether a message has begun that is not whole."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Take in `data` and yield each message that is now whole.

        Raises:
            TtlvError: the next message is too long; nothing more can be read from this stream.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER_SIZE:
            _word, length = _HEADER.unpack_from(self._buffer)
            size = _HEADER_SIZE + length + -length % 8
            if size > self._maximum_bytes:
                raise TtlvError(
                    f"a message may have {self._maximum_bytes} bytes, this one has {size}"
                )
            if len(self._buffer) < size:
                return
            whole = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield whole
