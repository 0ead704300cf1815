"""JSON-TTLV: items to JSON text and back, in the spellings of the product's 4.x and 5.x clients.

One item is `{"tag": …, "type": …, "value": …}`. The dialects agree on most of it: see `Spelling`.
Input of either is understood whatever the spelling; the shape of the tree is left as it came
(`kmsd.kmip.json_dialects` knows what the 4.x clients arrange differently).
Source: KMIP JSON encoding, KMIP Profiles 2.1 §5.5, as the product speaks it.
"""

import datetime as dt
import enum
from typing import Any, cast

import msgspec

from kmsd.ttlv import Item, ItemType, TtlvError
from kmsd.ttlv.tags import spelled

MAXIMUM_DEPTH = 32
_TYPES = {item_type.wire_name: item_type for item_type in ItemType}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)


class Spelling(enum.Enum):
    """How a client writes JSON-TTLV.

    V4 gives structures a `"type"` and writes big integers as unsigned magnitudes; V5 leaves the
    type of a structure out and writes big integers in two's complement, filled up to 8 bytes.
    """

    V4 = 4
    V5 = 5


class _Node(msgspec.Struct, gc=False):
    """An item as JSON has it, read; `value` is checked against `type` afterwards."""

    tag: str
    value: "list[_Node] | str | int | float | bool"
    type: str = ""


class _Leaf(msgspec.Struct, gc=False):
    """An item as JSON has it, written: clients need this order of the keys."""

    tag: str
    type: str
    value: Any


class _Branch(msgspec.Struct, gc=False):
    """A structure without its type, as V5 writes it."""

    tag: str
    value: list[Any]


_LONG_INTERVALS = frozenset({"RotateInterval", "RotateOffset"})
"""What the product's JSON has as long integers, and KMIP as intervals."""

_decoder = msgspec.json.Decoder(_Node)
_encoder = msgspec.json.Encoder()


def decode(data: bytes) -> tuple[Item, Spelling]:
    """Return the item that `data` holds, and the spelling it is in.

    Raises:
        TtlvError: it is not JSON, not TTLV, or is nested deeper than 32 levels.
    """
    try:
        node = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TtlvError(f"the body is not JSON-TTLV: {error}") from None
    spelling = Spelling.V4 if node.type else Spelling.V5
    return _item(node, spelling, 0), spelling


def _item(node: _Node, spelling: Spelling, depth: int) -> Item:
    if depth >= MAXIMUM_DEPTH:
        raise TtlvError(f"the message is nested deeper than {MAXIMUM_DEPTH} levels")
    tag = spelled(node.tag)
    item_type = _TYPES.get(node.type) if node.type else ItemType.STRUCTURE
    if item_type is ItemType.STRUCTURE:
        if not isinstance(node.value, list):
            raise TtlvError(f"{tag} has no type and is not a Structure")
        return Item(tag, item_type, [_item(each, spelling, depth + 1) for each in node.value])
    if item_type is None:
        raise TtlvError(f"{tag} has the unknown type {node.type!r}")
    try:
        return Item(tag, item_type, _READERS[item_type](node.value, spelling))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise TtlvError(f"the value of {tag} is not a {item_type.wire_name}") from None


def _read_number(bits: int) -> Any:
    """Make a reader of a JSON number or of `bits` bits as "0x" and hex digits, signed."""

    def read(value: Any, _spelling: Spelling) -> int:
        if isinstance(value, str):
            value = _hexadecimal(value)
            if value >> (bits - 1) and value < 1 << bits:
                value -= 1 << bits
        if type(value) is not int or not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise ValueError
        return value

    return read


def _hexadecimal(text: str) -> int:
    if not text.startswith("0x"):
        raise ValueError
    return int(text, 16)


def _read_integer(value: Any, spelling: Spelling) -> int | str:
    """Read an Integer; a mask may come as the names of its bits."""
    if isinstance(value, str) and not value.startswith("0x"):
        return value
    if isinstance(value, int) and 1 << 31 <= value < 1 << 32:  # a mask with its highest bit set
        value -= 1 << 32
    return cast("int", _read_number(32)(value, spelling))


def _read_interval(value: Any, _spelling: Spelling) -> int:
    value = _hexadecimal(value) if isinstance(value, str) else value
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError
    return value


def _read_big_integer(value: Any, spelling: Spelling) -> int:
    if type(value) is int:
        return value
    digits = value.removeprefix("0x")
    raw = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
    return int.from_bytes(raw, "big", signed=spelling is Spelling.V5)


def _read_enumeration(value: Any, _spelling: Spelling) -> int | str:
    if isinstance(value, str):
        return _hexadecimal(value) if value.startswith("0x") else value
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError
    return value


def _read_boolean(value: Any, _spelling: Spelling) -> bool:
    if isinstance(value, str):
        value = bool(_hexadecimal(value))
    if type(value) is not bool:
        raise ValueError
    return value


def _read_text(value: Any, _spelling: Spelling) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_bytes(value: Any, _spelling: Spelling) -> bytes:
    if not value.isalnum() and value:  # fromhex would skip blanks
        raise ValueError
    return bytes.fromhex(value)


def _read_date(value: Any, spelling: Spelling) -> int:
    if type(value) is int or value.startswith("0x"):
        return cast("int", _read_number(64)(value, spelling))
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // _SECOND


def _read_extended(value: Any, spelling: Spelling) -> int:
    if isinstance(value, str) and len(value) > len("0x") + 16:  # V4 writes 128 bits
        return cast("int", _read_number(128)(value, spelling))
    return cast("int", _read_number(64)(value, spelling))


_READERS: dict[ItemType, Any] = {
    ItemType.INTEGER: _read_integer,
    ItemType.LONG_INTEGER: _read_number(64),
    ItemType.BIG_INTEGER: _read_big_integer,
    ItemType.ENUMERATION: _read_enumeration,
    ItemType.BOOLEAN: _read_boolean,
    ItemType.TEXT_STRING: _read_text,
    ItemType.BYTE_STRING: _read_bytes,
    ItemType.DATE_TIME: _read_date,
    ItemType.INTERVAL: _read_interval,
    ItemType.DATE_TIME_EXTENDED: _read_extended,
}


def encode(item: Item, spelling: Spelling) -> bytes:
    """Return `item` as JSON text (UTF-8)."""
    return _encoder.encode(_node(item, spelling))


def _node(item: Item, spelling: Spelling) -> _Leaf | _Branch:
    if item.type is not ItemType.STRUCTURE:
        item_type = item.type
        if item_type is ItemType.INTERVAL and item.tag in _LONG_INTERVALS:
            item_type = ItemType.LONG_INTEGER
        writer = _WRITERS.get(item_type)
        value = writer(item.value, spelling) if writer else item.value
        return _Leaf(item.tag, item_type.wire_name, value)
    children = [_node(child, spelling) for child in item.children]
    if spelling is Spelling.V4:
        return _Leaf(item.tag, item.type.wire_name, children)
    return _Branch(item.tag, children)


def _write_big_integer(value: int, spelling: Spelling) -> str:
    if spelling is Spelling.V4:
        magnitude = abs(value)
        return (
            "0x" + magnitude.to_bytes((magnitude.bit_length() + 7) // 8 or 1, "big").hex().upper()
        )
    return (
        "0x" + value.to_bytes((value.bit_length() // 64 + 1) * 8, "big", signed=True).hex().upper()
    )


def _write_enumeration(value: Any, _spelling: Spelling) -> str:
    name = getattr(value, "wire_name", value)
    return f"0x{name:08X}" if isinstance(name, int) else str(name)


def _write_date(value: int, _spelling: Spelling) -> str:
    try:
        moment = _EPOCH + value * _SECOND
    except OverflowError:  # beyond the year 9999
        return f"0x{value % (1 << 64):016X}"
    return moment.isoformat().replace("+00:00", "Z")


def _write_hexadecimal(digits: int) -> Any:
    modulus = 1 << 4 * digits
    return lambda value, _spelling: f"0x{value % modulus:0{digits}X}"


def _write_extended(value: int, spelling: Spelling) -> str:
    return cast("str", _write_hexadecimal(32 if spelling is Spelling.V4 else 16)(value, spelling))


_WRITERS: dict[ItemType, Any] = {
    ItemType.LONG_INTEGER: _write_hexadecimal(16),
    ItemType.BIG_INTEGER: _write_big_integer,
    ItemType.ENUMERATION: _write_enumeration,
    ItemType.BYTE_STRING: lambda value, _spelling: value.hex().upper(),
    ItemType.DATE_TIME: _write_date,
    ItemType.DATE_TIME_EXTENDED: _write_extended,
}
