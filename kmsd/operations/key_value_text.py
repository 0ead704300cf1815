"""A Key Value as the JSON text that servers of 4.x wrap under the name of TTLV Encoding.

    {"KeyMaterial": {"ByteString": [1, 2, …]}, "Attributes": {…}}

Keys are the fields in PascalCase, bytes a list of numbers, big integers a list of 32-bit digits,
the least significant first. The attributes are written and not read back: the object has them.

Source: the product, 4.x.
"""

import json
from typing import Any

from kmsd.kmip.enums import Enumeration, KeyFormatType
from kmsd.kmip.objects import TRANSPARENT, KeyMaterial, KeyValue
from kmsd.ttlv import Item, ItemType, TtlvError, structure
from kmsd.ttlv.schema import Structure, compiled, dump, load
from kmsd.ttlv.tags import spelled

_BYTES = "ByteString"
_KIND = "KeyTypeSer"
_KINDS = {"RSAPrivateKey": "RsaPrivate", "RSAPublicKey": "RsaPublic"}
_DIGIT_BITS = 32


def encode(key_value: KeyValue) -> bytes:
    """Return the text that is wrapped."""
    text: dict[str, Any] = {"KeyMaterial": _material(key_value.key_material)}
    if key_value.attributes is not None:
        text["Attributes"] = _value(dump(key_value.attributes))
    return json.dumps(text, separators=(",", ":")).encode()


def decode(text: bytes, key_format_type: KeyFormatType) -> KeyValue:
    """Return the key value of a text.

    Raises:
        TtlvError: it is none, or not of a key in this format.
    """
    try:
        material = json.loads(text)["KeyMaterial"]
        if _BYTES in material:
            return KeyValue(key_material=bytes(material[_BYTES]))
        return KeyValue(key_material=_transparent(material, TRANSPARENT[key_format_type]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        message = "what was unwrapped is not a Key Value"
        raise TtlvError(message) from None


def _material(material: KeyMaterial | None) -> dict[str, Any]:
    if not isinstance(material, Structure):
        return {_BYTES: list(material or b"")}
    text: dict[str, Any] = _value(dump(material))
    name = type(material).__name__.removeprefix("Transparent")
    if name != "SymmetricKey":
        text[_KIND] = _KINDS.get(name, name.removesuffix("PrivateKey").removesuffix("PublicKey"))
    return text


def _value(item: Item) -> Any:
    """Return what an item holds, as plain JSON; what is there several times is a list."""
    value: Any = item.value
    if item.type is ItemType.STRUCTURE:
        return _children(item)
    if item.type is ItemType.BIG_INTEGER:
        return _digits(value)
    if isinstance(value, bytes):
        return list(value)
    return value.wire_name if isinstance(value, Enumeration) else value


def _children(item: Item) -> dict[str, Any]:
    text: dict[str, Any] = {}
    for child in item.children:
        if child.tag in _LISTS:
            text.setdefault(_LISTS[child.tag], []).append(_value(child))
        else:
            text.setdefault(child.tag, _value(child))
    return text


_LISTS = {"Link": "Link", "Attribute": "VendorAttributes"}


def _digits(number: int) -> list[int]:
    count = -(-number.bit_length() // _DIGIT_BITS)
    mask = (1 << _DIGIT_BITS) - 1
    return [number >> (_DIGIT_BITS * index) & mask for index in range(count)]


def _transparent(text: dict[str, Any], kind: type[Structure]) -> Structure:
    fields = compiled(kind).by_tag
    items = []
    for name, value in text.items():
        field = fields.get(spelled(name))
        if field is not None:
            items.append(_item(field.tag, value))
    return load(kind, structure(spelled(kind.__name__), *items))


def _item(tag: str, value: Any) -> Item:
    if isinstance(value, str):
        return Item(tag, ItemType.ENUMERATION, value)
    if tag in {"Key", "QString"}:
        return Item(tag, ItemType.BYTE_STRING, bytes(value))
    number = sum(int(digit) << (_DIGIT_BITS * index) for index, digit in enumerate(value))
    return Item(tag, ItemType.BIG_INTEGER, number)
