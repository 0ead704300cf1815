"""TTLV as XML: items to the XML of the KMIP profiles and back.

A structure is an element of its tag's name that holds others, a leaf an element with `type` and
`value` attributes. Source: KMIP Profiles 2.1 §5.6 (XML Profile).
"""

import binascii
import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from kmsd.ttlv import Item, ItemType, TtlvError
from kmsd.ttlv.binary_format import MAXIMUM_DEPTH
from kmsd.ttlv.tags import spelled

_TYPES = {item_type.wire_name: item_type for item_type in ItemType}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = dt.timedelta(seconds=1)
_MICROSECOND = dt.timedelta(microseconds=1)


class _Builder(ET.TreeBuilder):
    """Builds elements, and refuses what no KMIP message has: a document type, or a deep nest."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any) -> Any:
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise TtlvError(f"the message is nested deeper than {MAXIMUM_DEPTH} levels")
        return super().start(tag, attrs)

    def end(self, tag: Any) -> Any:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        """Refuse entities, and with them everything that expands."""
        raise TtlvError("the message declares a document type")


def decode(data: bytes) -> Item:
    """Return the item that `data` holds.

    Raises:
        TtlvError: it is not XML, not TTLV, or is nested deeper than 32 levels.
    """
    if b"<!" in data.replace(b"<!--", b""):
        raise TtlvError("the message declares a document type or a raw section")
    try:
        element = ET.fromstring(data, ET.XMLParser(target=_Builder()))  # noqa: S314 (no entities)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise TtlvError(f"the body is not XML: {error}") from None
    return _item(element)


def _item(element: ET.Element) -> Item:
    tag = spelled(element.tag if element.tag != "TTLV" else element.get("tag", ""))
    name = element.get("type", "Structure")
    item_type = _TYPES.get(name)
    if item_type is None:
        raise TtlvError(f"{tag} has the unknown type {name!r}")
    if item_type is ItemType.STRUCTURE:
        return Item(tag, item_type, [_item(child) for child in element])
    try:
        return Item(tag, item_type, _READERS[item_type](element.attrib["value"]))
    except (KeyError, ValueError, OverflowError):
        raise TtlvError(f"the value of {tag} is not a {name}") from None


def _number(text: str) -> int:
    return int(text, 16) if text.lower().startswith("0x") else int(text)


def _long(text: str) -> int:
    """Read a number of 64 bits; as hex it is in two's complement."""
    value = _number(text)
    return value - (1 << 64) if 1 << 63 <= value < 1 << 64 else value


def _integer(text: str) -> int | str:
    """Read an Integer, or the names of a mask's bits."""
    digits = text.removeprefix("-").lower()
    if not (digits.isdecimal() or digits.startswith("0x")):
        return text
    value = _number(text)
    return value - (1 << 32) if 1 << 31 <= value < 1 << 32 else value


def _enumeration(text: str) -> int | str:
    return _number(text) if text.lower().startswith("0x") or text.isdecimal() else text


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _moment(unit: dt.timedelta) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.lower().startswith("0x") or text.isdecimal():
            return _long(text)
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return (moment - _EPOCH) // unit

    return read


def _big_integer(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text.removeprefix("0x")), "big", signed=True)


_READERS: dict[ItemType, Callable[[str], Any]] = {
    ItemType.INTEGER: _integer,
    ItemType.LONG_INTEGER: _long,
    ItemType.BIG_INTEGER: _big_integer,
    ItemType.ENUMERATION: _enumeration,
    ItemType.BOOLEAN: _boolean,
    ItemType.TEXT_STRING: str,
    ItemType.BYTE_STRING: binascii.unhexlify,
    ItemType.DATE_TIME: _moment(_SECOND),
    ItemType.INTERVAL: _number,
    ItemType.DATE_TIME_EXTENDED: _moment(_MICROSECOND),
}


def encode(item: Item) -> bytes:
    """Return `item` as XML (UTF-8)."""
    body: bytes = ET.tostring(_element(item), encoding="utf-8", xml_declaration=True)
    return body


def _element(item: Item) -> ET.Element:
    unknown = item.tag.startswith("0x")
    element = ET.Element("TTLV" if unknown else item.tag)
    if unknown:
        element.set("tag", item.tag)
    if item.type is ItemType.STRUCTURE:
        element.extend([_element(child) for child in item.children])
        return element
    element.set("type", item.type.wire_name)
    element.set("value", _WRITERS.get(item.type, str)(item.value))
    return element


def _write_enumeration(value: Any) -> str:
    name = getattr(value, "wire_name", value)
    return f"0x{name:08X}" if isinstance(name, int) else str(name)


def _write_big_integer(value: int) -> str:
    return value.to_bytes((value.bit_length() // 64 + 1) * 8, "big", signed=True).hex().upper()


def _write_moment(unit: dt.timedelta) -> Callable[[int], str]:
    def write(value: int) -> str:
        try:
            return (_EPOCH + value * unit).isoformat()
        except OverflowError:  # beyond the year 9999
            return f"0x{value % (1 << 64):016X}"

    return write


_WRITERS: dict[ItemType, Callable[[Any], str]] = {
    ItemType.BIG_INTEGER: _write_big_integer,
    ItemType.ENUMERATION: _write_enumeration,
    ItemType.BOOLEAN: lambda value: "true" if value else "false",
    ItemType.BYTE_STRING: lambda value: value.hex().upper(),
    ItemType.DATE_TIME: _write_moment(_SECOND),
    ItemType.DATE_TIME_EXTENDED: _write_moment(_MICROSECOND),
}
