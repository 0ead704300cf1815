"""Attributes as plain JSON, for people and programs: `{"ObjectType": "SymmetricKey", …}`."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from kmsd.kmip.attributes import TAG, VENDOR, Attributes
from kmsd.kmip.attributes import tags as tags_of
from kmsd.kmip.enums import Enumeration
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Field, Structure, compiled


def plain_attributes(attributes: Attributes) -> dict[str, Any]:
    """Return all attributes, tags among them under that name."""
    shown = plain(attributes)
    vendor = [
        each
        for each in shown.pop("Attribute", [])
        if (each["VendorIdentification"], each["AttributeName"]) != (VENDOR, TAG)
    ]
    try:
        found = sorted(tags_of(attributes))
    except ValueError:  # not the product's tags: shown as they are
        return plain(attributes)
    return (
        shown
        | ({"VendorAttributes": vendor} if vendor else {})
        | ({"Tags": found} if found else {})
    )


def plain(structure: Structure) -> dict[str, Any]:
    """Return what is set in a structure under its KMIP names; dates as texts, bytes in hex."""
    shown = {}
    for field in compiled(type(structure)).fields:
        value = getattr(structure, field.name)
        if value is None or value == () or field.secret:
            continue
        values = [_value(field, each) for each in (value if field.repeated else (value,))]
        shown[field.tag] = values if field.repeated else values[0]
    return shown


def _value(field: Field, value: Any) -> Any:
    if isinstance(value, Structure):
        return plain(value)
    if isinstance(value, enum.IntFlag):
        names = [each.name for each in type(value) if each in value and each.name]
        return [name.title().replace("_", "") for name in names]
    if isinstance(value, Enumeration):
        return value.wire_name
    return _leaf(value if isinstance(value, Item) else field.write(field.tag, value))


def _leaf(item: Item) -> Any:
    if item.type is ItemType.STRUCTURE:
        return {child.tag: _leaf(child) for child in item.children}
    if item.type is ItemType.DATE_TIME and isinstance(item.value, int):
        moment = dt.datetime.fromtimestamp(item.value, dt.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    return item.value.hex() if isinstance(item.value, bytes) else item.value
