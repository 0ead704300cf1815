"""Messages of KMIP 1.0 to 2.0, read into the shape of 2.1 and written back in their own.

Behind this module everything is KMIP 2.1. What 1.x arranges otherwise is undone on the way in and
done again on the way out:

* attributes stand in a template as `Attribute{AttributeName, AttributeIndex, AttributeValue}`, by
  the spaced names of the specification (`Cryptographic Length`), where 2.x has one item for each
  under its own tag; a custom attribute `x-name` is the vendor attribute `name` of vendor `x`;
* attributes are asked for by name, changed and deleted by name and index;
* Add, Modify and Delete Attribute answer with the attribute;
* result reasons that came with 2.1 are told by the ones that stood for them.

Nothing is answered that the version does not know: tags are filtered by the table of tags.

Source: KMIP 1.4 §2.1.8, §3, §4; KMIP 2.1 for the rest.
"""

import re
from collections.abc import Iterable

from kmsd.kmip import enums, spreading
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.structures import AttributeReference
from kmsd.ttlv import FieldError, Item, ItemType, TtlvError, structure
from kmsd.ttlv.schema import compiled, dump
from kmsd.ttlv.tags import TAGS, spelled, tag_name

Version = tuple[int, int]

TWO = (2, 0)
LATEST = (2, 1)
_TEMPLATES = {
    "TemplateAttribute": "Attributes",
    "CommonTemplateAttribute": "CommonAttributes",
    "PrivateKeyTemplateAttribute": "PrivateKeyAttributes",
    "PublicKeyTemplateAttribute": "PublicKeyAttributes",
}
_TEMPLATES_BACK = {new: old for old, new in _TEMPLATES.items()}
_CHANGES = frozenset({"AddAttribute", "ModifyAttribute", "DeleteAttribute"})
TEMPLATE_NAME = "TemplateName"
"""How the name of a template stands among attributes until it is looked up: no tag of KMIP's."""

_SPACED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Tag → 1.x name, where putting a blank before each capital does not give it.
_NAMES = {
    "X509CertificateIdentifier": "X.509 Certificate Identifier",
    "X509CertificateIssuer": "X.509 Certificate Issuer",
    "X509CertificateSubject": "X.509 Certificate Subject",
    "PKCS12FriendlyName": "PKCS#12 Friendly Name",
}
_FOLDED_NAMES = {
    enums.fold(tag): tag
    for tag in (*(field.tag for field in compiled(Attributes).fields), *spreading.PARTS)
}
_CUSTOM = re.compile(r"([xy])-(.*)", re.DOTALL)

_NO_ATTRIBUTES_YET = frozenset({"KeyFormatType", "OpaqueDataType", *spreading.PARTS})
"""Tags that 1.x knows as parts of other structures, and 2.0 made attributes."""

# What came with 2.1, and what earlier versions say for it.
_REASONS = {
    ResultReason.OBJECT_NOT_FOUND: ResultReason.ITEM_NOT_FOUND,
    ResultReason.OBJECT_DESTROYED: ResultReason.ITEM_NOT_FOUND,
    ResultReason.WRONG_KEY_LIFECYCLE_STATE: ResultReason.PERMISSION_DENIED,
    ResultReason.INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK: ResultReason.PERMISSION_DENIED,
    ResultReason.USAGE_LIMIT_EXCEEDED: ResultReason.PERMISSION_DENIED,
    ResultReason.ATTRIBUTE_READ_ONLY: ResultReason.PERMISSION_DENIED,
    ResultReason.ATTRIBUTE_NOT_FOUND: ResultReason.ITEM_NOT_FOUND,
    ResultReason.ATTRIBUTE_INSTANCE_NOT_FOUND: ResultReason.ITEM_NOT_FOUND,
    ResultReason.ATTRIBUTE_SINGLE_VALUED: ResultReason.INVALID_FIELD,
    ResultReason.MULTI_VALUED_ATTRIBUTE: ResultReason.INVALID_FIELD,
    ResultReason.NON_UNIQUE_NAME_ATTRIBUTE: ResultReason.INVALID_FIELD,
    ResultReason.INVALID_ATTRIBUTE: ResultReason.INVALID_FIELD,
    ResultReason.INVALID_ATTRIBUTE_VALUE: ResultReason.INVALID_FIELD,
    ResultReason.INVALID_OBJECT_TYPE: ResultReason.INVALID_FIELD,
    ResultReason.MISSING_DATA: ResultReason.INVALID_MESSAGE,
    ResultReason.MISSING_INITIALIZATION_VECTOR: ResultReason.INVALID_MESSAGE,
    ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS: ResultReason.INVALID_FIELD,
    ResultReason.UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS: ResultReason.INVALID_FIELD,
    ResultReason.WRAPPING_OBJECT_NOT_FOUND: ResultReason.ITEM_NOT_FOUND,
    ResultReason.SERVER_LIMIT_EXCEEDED: ResultReason.GENERAL_FAILURE,
    ResultReason.UNSUPPORTED_PROTOCOL_VERSION: ResultReason.INVALID_MESSAGE,
    ResultReason.UNKNOWN_TAG: ResultReason.INVALID_MESSAGE,
    ResultReason.CODEC_ERROR: ResultReason.INVALID_MESSAGE,
    ResultReason.OBJECT_ALREADY_EXISTS: ResultReason.INVALID_FIELD,
}
_SINCE_1_4 = frozenset({ResultReason.OBJECT_ALREADY_EXISTS})


def reason(value: ResultReason, version: Version) -> ResultReason:
    """Return the reason that a client of `version` is told for `value`."""
    if version >= LATEST or (value in _SINCE_1_4 and version >= (1, 4)):
        return value
    return _REASONS.get(value, value)


# Reading requests


def read(payload: Item, operation: str, version: Version) -> Item:
    """Return a request payload in the shape of 2.1.

    Raises:
        TtlvError: an attribute has no name, or a name that KMIP does not know.
    """
    if version >= TWO:
        return payload
    children = [_read_item(child) for child in payload.children]
    if operation in {"Locate", "Import"}:
        children = _gathered(children)
    elif operation in {"GetAttributes", "DeleteAttribute"}:
        _check_names(children)
        children = [_read_name(child) for child in children]
    if operation in _CHANGES:
        children = [each for child in children for each in _read_change(child)]
    return Item(payload.tag, payload.type, children)


def _read_item(item: Item) -> Item:
    """Turn templates into attributes, anywhere in the tree."""
    if item.type is not ItemType.STRUCTURE or item.tag == "Attribute":
        return item
    children = [_read_item(child) for child in item.children]
    tag = _TEMPLATES.get(item.tag)
    if tag is not None:
        named = [child for child in children if child.tag == "Attribute"]
        templates = [
            Item(TEMPLATE_NAME, child.type, child.value)
            for child in children
            if child.tag == "Name"
        ]
        return structure(tag, *templates, *_typed(named))
    if item.tag in {"KeyValue", "Template"}:
        children = _gathered(children)
    return Item(item.tag, item.type, children)


def _gathered(children: list[Item]) -> list[Item]:
    """Put the bare attributes among `children` into one Attributes structure."""
    named = [child for child in children if child.tag == "Attribute"]
    if not named:
        return children
    others = [child for child in children if child.tag != "Attribute"]
    attributes = structure("Attributes", *_typed(named))
    where = next((at for at, child in enumerate(others) if _is_object(child)), len(others))
    return [*others[:where], attributes, *others[where:]]


def _is_object(item: Item) -> bool:
    return item.child("KeyBlock") is not None or item.tag in {"Certificate", "OpaqueObject"}


def _typed(named: Iterable[Item]) -> list[Item]:
    """Return 1.x attributes under their own tags."""
    return [_read_attribute(item) for item in named]


def _read_attribute(item: Item) -> Item:
    name, value = item.child("AttributeName"), item.child("AttributeValue")
    if name is None or not isinstance(name.value, str):
        raise TtlvError("missing field AttributeName in Attribute")
    if value is None:
        raise TtlvError(f"missing field AttributeValue in Attribute {name.value}")
    tag = tag_of_name(name.value)
    if tag is not None:
        return Item(tag, value.type, value.value)
    vendor, custom = _custom(name.value)
    return structure(
        "Attribute",
        Item("VendorIdentification", ItemType.TEXT_STRING, vendor),
        Item("AttributeName", ItemType.TEXT_STRING, custom),
        value,
    )


def tag_of_name(name: str) -> str | None:
    """Return the tag of the attribute with a 1.x name; None for a custom attribute."""
    return None if _CUSTOM.match(name) else _FOLDED_NAMES.get(enums.fold(name))


def _custom(name: str) -> tuple[str, str]:
    match = _CUSTOM.match(name)
    if match is None:
        raise FieldError(f"there is no attribute called {name!r}")
    return match[1], match[2]


def _check_names(children: list[Item]) -> None:
    """Refuse the same name twice (KMIP 1.4 §4.12)."""
    names = [child.value for child in children if child.tag == "AttributeName"]
    if len(set(map(str, names))) < len(names):
        raise TtlvError("an AttributeName occurs twice")


def _read_name(item: Item) -> Item:
    """Turn an Attribute Name into an Attribute Reference; of an unknown name no object has any."""
    if item.tag != "AttributeName" or not isinstance(item.value, str):
        return item
    tag = tag_of_name(item.value)
    if tag is not None:
        return Item("AttributeReference", ItemType.ENUMERATION, tag)
    match = _CUSTOM.match(item.value)
    vendor, name = (match[1], match[2]) if match else ("", item.value)
    return dump(AttributeReference(vendor_identification=vendor, attribute_name=name))


def _read_change(item: Item) -> list[Item]:
    """Turn the Attribute of Add and Modify Attribute into a New Attribute, keeping its index."""
    if item.tag != "Attribute":
        return [item]
    index = item.child("AttributeIndex")
    return [structure("NewAttribute", _read_attribute(item)), *([index] if index else [])]


# Writing responses


def write(payload: Item, version: Version) -> Item:
    """Return a response payload in the shape of `version`, without what that does not know."""
    if version < TWO:
        payload = _write_item(payload, version)
    return _visible(payload, version)


def _write_item(item: Item, version: Version) -> Item:
    if item.type is not ItemType.STRUCTURE:
        return item
    children: list[Item] = []
    for child in item.children:
        if child.tag == "Attributes":
            children += _named(child)
        elif child.tag in _TEMPLATES_BACK:
            children.append(structure(_TEMPLATES_BACK[child.tag], *_named(child)))
        elif child.tag == "AttributeReference":
            children += _write_name(child, version)
        else:
            children.append(_write_item(child, version))
    return Item(item.tag, item.type, children)


def _named(attributes: Item) -> list[Item]:
    """Return attributes in 1.x's form; the second and further values of one have an index."""
    seen: dict[str, int] = {}
    named: list[Item] = []
    for child in attributes.children:
        name, value = _name_and_value(child)
        if name is None or value is None:
            continue
        index = seen[name] = seen.get(name, -1) + 1
        item = structure("Attribute", Item("AttributeName", ItemType.TEXT_STRING, name))
        if index:
            item.children.append(Item("AttributeIndex", ItemType.INTEGER, index))
        item.children.append(Item("AttributeValue", value.type, value.value))
        named.append(item)
    return named


def _name_and_value(item: Item) -> tuple[str | None, Item | None]:
    if item.tag in _NO_ATTRIBUTES_YET:
        return None, None
    if item.tag != "Attribute":
        return attribute_name(item.tag), item
    vendor, name, *value = item.children
    if vendor.value not in {"x", "y"} or not value:
        return None, None
    return f"{vendor.value!s}-{name.value!s}", value[0]


def attribute_name(tag: str) -> str:
    """Return the 1.x name of the attribute with a tag: `CryptographicLength` with a blank."""
    return _NAMES.get(tag) or _SPACED.sub(" ", tag)


def _write_name(reference: Item, version: Version) -> list[Item]:
    """Return the reference as a name, or nothing for what the version has no name for."""
    if reference.type is ItemType.STRUCTURE:
        vendor, name = (str(child.value) for child in reference.children)
        text = f"{vendor}-{name}" if vendor in {"x", "y"} else None
    else:
        tag = str(getattr(reference.value, "wire_name", reference.value))
        known = _is_known(reference, version) and tag not in _NO_ATTRIBUTES_YET
        text = attribute_name(tag) if known else None
    return [Item("AttributeName", ItemType.TEXT_STRING, text)] if text else []


def _visible(item: Item, version: Version) -> Item:
    """Return an item without the parts that came after, or went before, `version`."""
    if item.type is not ItemType.STRUCTURE:
        return item
    kept = [_visible(child, version) for child in item.children if _is_known(child, version)]
    return Item(item.tag, item.type, kept)


def _is_known(item: Item, version: Version) -> bool:
    tag = item.tag
    if tag == "AttributeReference" and isinstance(item.value, int):
        tag = tag_name(int(item.value))
    elif tag == "Attribute":
        name = item.child("AttributeName")
        tag = (tag_of_name(str(name.value)) if name and version < TWO else None) or tag
    row = TAGS.get(spelled(tag))
    return row is None or _number(row.since) <= min(version, LATEST) <= _number(row.last)


def _number(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)
