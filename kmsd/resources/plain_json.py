"""Structures as plain JSON, the way the product's access routes write attributes (not TTLV).

Keys are the fields in PascalCase, byte strings arrays of numbers, masks integers, enumerations
names and dates milliseconds since the epoch. Fields that are not set are left out.
Source: the product's access routes, 4.4 and later.
"""

import enum
import functools
from typing import Any

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import Enumeration
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Field, Structure, compiled

NAMES = {"attribute": "VendorAttributes", "qlength": "QLength"}
"""Keys that the name of the field does not give."""

SINGLE = {"cryptographic_parameters"}
"""Fields that may be repeated in KMIP, and that clients of these routes take for one object."""


def plain_attributes(attributes: Attributes) -> dict[str, Any]:
    """Return attributes for the owner of an object; clients require `Sensitive` to be there."""
    return {"Sensitive": False} | plain(attributes)


def plain(structure: Structure) -> dict[str, Any]:
    """Return what is set in a structure; secret fields never are part of it."""
    shown = {}
    for field in compiled(type(structure)).fields:
        value = getattr(structure, field.name)
        if field.secret or value is None or value == ():
            continue
        if not field.repeated:
            shown[_key(field.name)] = _plain_value(field, value)
        elif field.name in SINGLE:
            shown[_key(field.name)] = _plain_value(field, value[0])
        else:
            shown[_key(field.name)] = [_plain_value(field, each) for each in value]
    return shown


@functools.cache
def _key(field_name: str) -> str:
    words = field_name.split("_")
    return NAMES.get(field_name, "".join(word[:1].upper() + word[1:] for word in words))


def _plain_value(field: Field, value: Any) -> Any:
    if isinstance(value, Structure):
        return plain(value)
    if isinstance(value, enum.IntFlag):
        return int(value)
    if isinstance(value, Enumeration):
        return value.wire_name
    return _plain_leaf(value if isinstance(value, Item) else field.write(field.tag, value))


def _plain_leaf(item: Item) -> Any:
    """Return what an item holds; a vendor attribute's text is shown as bytes, like its bytes."""
    if item.type is ItemType.STRUCTURE:
        return {child.tag: _plain_leaf(child) for child in item.children}
    if item.type is ItemType.DATE_TIME and isinstance(item.value, int):
        return item.value * 1000
    if item.tag == "AttributeValue" and isinstance(item.value, str):
        return list(item.value.encode())
    return list(item.value) if isinstance(item.value, bytes) else item.value
