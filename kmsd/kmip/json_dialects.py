"""The JSON of the product's clients, read into KMIP 2.1's shape and written back in theirs.

The 5.x clients send KMIP 2.1 as it is. The 4.x clients arrange some of it otherwise: lists are
wrapped in a structure of their own tag, a managed object is called `Object`, dates are long
integers in milliseconds, a batch is a `Message` of `Items`, and a few things have other names. All
that is undone here on the way in and done again on the way out, so that nothing behind this module
knows of it, but for the few rules of conduct that differ (`Call.generation`).
"""

from collections.abc import Callable, Iterable
from typing import cast

from kmsd.kmip.enums import KeyFormatType, RevocationReasonCode
from kmsd.kmip.objects import OBJECTS
from kmsd.ttlv import Item, ItemType, json_format, structure
from kmsd.ttlv.json_format import Spelling
from kmsd.ttlv.schema import tag_of

__all__ = ["Spelling", "decode", "encode"]

_MILLISECONDS = 1_000
_MANAGED_OBJECTS = frozenset(map(tag_of, OBJECTS.values()))

# 4.x tag → KMIP tag. Differences of case alone are none: `spelled` folds them.
_RENAMED_IN = {
    "VendorAttributes": "Attribute",
    "VendorAttribute": "Attribute",
    "AttributeReferences": "AttributeReference",
    "MacOrSignatureKeyInformation": "MACSignatureKeyInformation",
    "MacOrSignature": "MACSignature",
    "Message": "RequestMessage",
    "Header": "RequestHeader",
    "Items": "BatchItem",
    "Timestamp": "TimeStamp",
}
_LISTS = frozenset(
    {
        "Link",
        "VendorAttributes",
        "UniqueIdentifier",
        "AttributeReferences",
        "AttributeName",
        "Items",
        "Certificate",
    }
)
_DATES = frozenset(
    {
        "ActivationDate",
        "CompromiseOccurrenceDate",
        "DeactivationDate",
        "ProcessStartDate",
        "ProtectStopDate",
    }
)


def decode(body: bytes) -> tuple[Item, Spelling]:
    """Return the request in `body` in the shape of KMIP 2.1, and how it was spelled.

    Raises:
        TtlvError: it is not JSON-TTLV.
    """
    item, spelling = json_format.decode(body)
    if spelling is Spelling.V4:
        (item,) = _read(item)
    return item, spelling


def encode(item: Item, spelling: Spelling) -> bytes:
    """Return a response in the client's JSON."""
    if spelling is Spelling.V4:
        item = _written(item)
    return json_format.encode(item, spelling)


# Reading


def _read(item: Item) -> list[Item]:
    """Return what a 4.x item is in KMIP: one item, or all those of a wrapped list."""
    if _is_list(item):
        return [each for child in item.children for each in _read_one(child)]
    return _read_one(item)


def _is_list(item: Item) -> bool:
    return (
        item.tag in _LISTS
        and item.type is ItemType.STRUCTURE
        and all(child.tag == item.tag for child in item.children)
    )


def _read_one(item: Item) -> list[Item]:
    tag = _RENAMED_IN.get(item.tag, item.tag)
    reader = _READERS.get(tag)
    if item.type is ItemType.STRUCTURE:
        children = [each for child in item.children for each in _read(child)]
        item = Item(tag, item.type, children)
        _name_object(item)
    else:
        item = Item(tag, item.type, item.value)
    return [reader(item) if reader else item]


def _name_object(parent: Item) -> None:
    """Give the child called `Object` the tag of what its sibling says it is."""
    managed_object, kind = parent.child("Object"), parent.child("ObjectType")
    if managed_object is not None and kind is not None and isinstance(kind.value, str):
        managed_object.tag = kind.value


def _read_date(item: Item) -> Item:
    if item.type is ItemType.LONG_INTEGER:
        return Item(item.tag, ItemType.DATE_TIME, cast("int", item.value) // _MILLISECONDS)
    return item


def _read_key_material(item: Item) -> Item:
    """Take bytes out of the structure around them, and the 4.x discriminator out of the others."""
    inner = item.child("ByteString")
    if inner is not None:
        return Item(item.tag, ItemType.BYTE_STRING, inner.value)
    if item.type is ItemType.STRUCTURE:
        item.value = [child for child in item.children if child.tag != "KeyTypeSer"]
    return item


def _read_revocation_reason(item: Item) -> Item:
    """Make KMIP's structure of a text, of a code's name or of its number."""
    if item.type is ItemType.STRUCTURE:
        return item
    code: Item = Item(
        "RevocationReasonCode", ItemType.ENUMERATION, RevocationReasonCode.UNSPECIFIED
    )
    if item.type is ItemType.TEXT_STRING:
        return structure(item.tag, code, Item("RevocationMessage", item.type, item.value))
    return structure(item.tag, Item(code.tag, ItemType.ENUMERATION, item.value))


def _read_mode(item: Item) -> Item:
    """A 4.x client's NISTKeyWrap is the wrap with padding, RFC 5649."""
    if item.value == "NISTKeyWrap":
        return Item(item.tag, item.type, "AESKeyWrapPadding")
    return item


def _read_byte_list(item: Item) -> Item:
    """A certificate of Validate comes as a list of integers, one for each byte."""
    children = item.children
    if children and all(child.type is ItemType.INTEGER for child in children):
        raw = bytes(cast("int", child.value) & 0xFF for child in children)
        return Item(item.tag, ItemType.BYTE_STRING, raw)
    return item


_READERS: dict[str, Callable[[Item], Item]] = {
    **dict.fromkeys(_DATES, _read_date),
    "KeyMaterial": _read_key_material,
    "RevocationReason": _read_revocation_reason,
    "BlockCipherMode": _read_mode,
    "Certificate": _read_byte_list,
}

# Writing

_RENAMED_OUT = (
    {
        "IVCounterNonce": "IvCounterNonce",
        "RandomIV": "RandomIv",
        "IVLength": "IvLength",
        "Qlength": "QLength",
        "AttributeReference": "AttributeReferences",
        "MACSignatureKeyInformation": "MacOrSignatureKeyInformation",
        "MACSignature": "MacOrSignature",
        "ResponseMessage": "Message",
        "ResponseHeader": "Header",
        "UniqueBatchItemID": "UniqueBatchItemId",
        "TimeStamp": "Timestamp",
    }
    | {
        f"Certificate{whose}{part.upper()}": f"Certificate{whose}{part}"
        for whose in ("Subject", "Issuer")
        for part in ("Cn", "Ou", "St", "Uid", "Dc")
    }
    | {
        f"Certificate{whose}DNQualifier": f"Certificate{whose}DnQualifier"
        for whose in ("Subject", "Issuer")
    }
)

# The attributes a 4.x client can read; its JavaScript one stops at any it does not know.
_ATTRIBUTES = (
    "ActivationDate",
    "CertificateAttributes",
    "CertificateType",
    "CertificateLength",
    "CryptographicAlgorithm",
    "CryptographicLength",
    "CryptographicDomainParameters",
    "CryptographicParameters",
    "CryptographicUsageMask",
    "KeyFormatType",
    "Link",
    "ObjectType",
    "Sensitive",
    "UniqueIdentifier",
    "Attribute",
)
_LONG = frozenset(
    {
        "IVLength",
        "TagLength",
        "SaltLength",
        "FixedFieldLength",
        "CounterLength",
        "InvocationFieldLength",
        "InitialCounterValue",
        "TrailerField",
    }
)
_KEY_TYPES = {
    KeyFormatType.TRANSPARENT_RSA_PRIVATE_KEY: "RsaPrivate",
    KeyFormatType.TRANSPARENT_RSA_PUBLIC_KEY: "RsaPublic",
    KeyFormatType.TRANSPARENT_EC_PRIVATE_KEY: "EC",
    KeyFormatType.TRANSPARENT_EC_PUBLIC_KEY: "EC",
    KeyFormatType.TRANSPARENT_DSA_PRIVATE_KEY: "DSA",
    KeyFormatType.TRANSPARENT_DSA_PUBLIC_KEY: "DSA",
    KeyFormatType.TRANSPARENT_DH_PRIVATE_KEY: "DH",
    KeyFormatType.TRANSPARENT_DH_PUBLIC_KEY: "DH",
}


def _written(item: Item) -> Item:
    """Return a KMIP item as a 4.x client knows it."""
    writer = _WRITERS.get(item.tag)
    if writer is not None:
        return writer(item)
    tag = _RENAMED_OUT.get(item.tag, item.tag)
    if item.type is ItemType.STRUCTURE:
        tag = "Object" if item.tag in _MANAGED_OBJECTS else tag
        return structure(tag, *map(_written, item.children))
    if item.tag in _LONG:
        return Item(tag, ItemType.LONG_INTEGER, item.value)
    return Item(tag, item.type, item.value)


def _listed(tag: str, items: Iterable[Item]) -> Item:
    """Wrap the items of a list in a structure of their own tag."""
    return structure(tag, *(Item(tag, each.type, each.value) for each in items))


def _write_attributes(item: Item) -> Item:
    """Keep what a 4.x client can read, in its order, with its lists."""
    by_tag: dict[str, list[Item]] = {}
    for child in item.children:
        by_tag.setdefault(child.tag, []).append(child)
    written: list[Item] = []
    for tag in _ATTRIBUTES:
        values = by_tag.get(tag)
        if not values or (tag == "Sensitive" and values[0].value is False):
            continue
        if tag == "Link":
            written.append(_listed(tag, map(_written, values)))
        elif tag == "Attribute":
            written.append(_listed("VendorAttributes", map(_write_vendor_attribute, values)))
        else:
            written.append(_written(values[0]))
    return structure(item.tag, *written)


def _write_vendor_attribute(item: Item) -> Item:
    """Values of vendor attributes are bytes there."""
    vendor, name, *rest = item.children
    value = rest[0].value if rest else b""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return structure(item.tag, vendor, name, Item("AttributeValue", ItemType.BYTE_STRING, raw))


def _write_key_block(item: Item) -> Item:
    """Put bytes into a structure, and say of transparent keys what they are."""
    key_format = item.child("KeyFormatType")
    kind = _KEY_TYPES.get(cast("KeyFormatType", key_format.value)) if key_format else None
    return structure(
        item.tag,
        *(
            _write_key_value(child, kind) if child.tag == "KeyValue" else _written(child)
            for child in item.children
        ),
    )


def _write_key_value(item: Item, kind: str | None) -> Item:
    if item.type is not ItemType.STRUCTURE:  # wrapped with its encoding: bytes as a whole
        return structure(
            item.tag, _write_key_material(Item("KeyMaterial", item.type, item.value), None)
        )
    return structure(
        item.tag,
        *(
            _write_key_material(child, kind) if child.tag == "KeyMaterial" else _written(child)
            for child in item.children
            if child.tag != "Attributes" or _write_attributes(child).children
        ),
    )


def _write_key_material(item: Item, kind: str | None) -> Item:
    if item.type is not ItemType.STRUCTURE:
        return structure(item.tag, Item("ByteString", item.type, item.value))
    children = list(map(_written, item.children))
    if kind is not None:
        children.insert(0, Item("KeyTypeSer", ItemType.ENUMERATION, kind))
    return structure(item.tag, *children)


def _write_date(item: Item) -> Item:
    return Item(item.tag, ItemType.LONG_INTEGER, cast("int", item.value) * _MILLISECONDS)


def _write_located(item: Item) -> Item:
    """The identifiers of Locate are a list there, which is left out when it is empty."""
    found = [child for child in item.children if child.tag == "UniqueIdentifier"]
    others = [child for child in item.children if child.tag != "UniqueIdentifier"]
    return structure(item.tag, *others, *([_listed("UniqueIdentifier", found)] if found else []))


def _write_message(item: Item) -> Item:
    header, *items = map(_written, item.children)
    return structure("Message", header, _listed("Items", items))


def _write_time_stamp(item: Item) -> Item:
    return Item("Timestamp", ItemType.LONG_INTEGER, item.value)


_WRITERS: dict[str, Callable[[Item], Item]] = {
    **dict.fromkeys(_DATES, _write_date),
    "Attributes": _write_attributes,
    "KeyBlock": _write_key_block,
    "LocateResponse": _write_located,
    "ResponseMessage": _write_message,
    "TimeStamp": _write_time_stamp,
}
