"""Attributes: one structure of all of them, and one table of the rules each obeys.

Source: KMIP 2.1 §4.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from kmsd.kmip import enums, structures
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import DateTime, Interval, Structure, compiled, dump


class Attributes(Structure):
    """Every attribute an object may have; the fields stand in the order of the specification."""

    activation_date: DateTime | None = None
    alternative_name: tuple[structures.AlternativeName, ...] = ()
    always_sensitive: bool | None = None
    application_specific_information: tuple[structures.ApplicationSpecificInformation, ...] = ()
    archive_date: DateTime | None = None
    certificate_attributes: structures.CertificateAttributes | None = None
    certificate_type: enums.CertificateType | None = None
    certificate_length: int | None = None
    comment: str | None = None
    compromise_date: DateTime | None = None
    compromise_occurrence_date: DateTime | None = None
    contact_information: str | None = None
    cryptographic_algorithm: enums.CryptographicAlgorithm | None = None
    cryptographic_domain_parameters: structures.CryptographicDomainParameters | None = None
    cryptographic_length: int | None = None
    cryptographic_parameters: tuple[structures.CryptographicParameters, ...] = ()
    cryptographic_usage_mask: enums.CryptographicUsageMask | None = None
    deactivation_date: DateTime | None = None
    description: str | None = None
    destroy_date: DateTime | None = None
    digest: tuple[structures.Digest, ...] = ()
    digital_signature_algorithm: tuple[enums.DigitalSignatureAlgorithm, ...] = ()
    extractable: bool | None = None
    fresh: bool | None = None
    initial_date: DateTime | None = None
    key_format_type: enums.KeyFormatType | None = None
    key_value_location: tuple[structures.KeyValueLocation, ...] = ()
    key_value_present: bool | None = None
    last_change_date: DateTime | None = None
    lease_time: Interval | None = None
    link: tuple[structures.Link, ...] = ()
    name: tuple[structures.Name, ...] = ()
    never_extractable: bool | None = None
    nist_key_type: enums.NISTKeyType | None = None
    object_group: tuple[str, ...] = ()
    object_group_member: enums.ObjectGroupMember | None = None
    object_type: enums.ObjectType | None = None
    operation_policy_name: str | None = None
    opaque_data_type: enums.OpaqueDataType | None = None
    original_creation_date: DateTime | None = None
    pkcs12_friendly_name: str | None = None
    process_start_date: DateTime | None = None
    protect_stop_date: DateTime | None = None
    protection_level: enums.ProtectionLevel | None = None
    protection_period: Interval | None = None
    protection_storage_mask: enums.ProtectionStorageMask | None = None
    quantum_safe: bool | None = None
    random_number_generator: structures.RandomNumberGenerator | None = None
    revocation_reason: structures.RevocationReason | None = None
    rotate_automatic: bool | None = None
    rotate_date: DateTime | None = None
    rotate_generation: int | None = None
    rotate_interval: Interval | None = None
    rotate_latest: bool | None = None
    rotate_name: str | None = None
    rotate_offset: Interval | None = None
    sensitive: bool | None = None
    short_unique_identifier: bytes | None = None
    state: enums.State | None = None
    unique_identifier: str | None = None
    usage_limits: structures.UsageLimits | None = None
    attribute: tuple[structures.Attribute, ...] = ()
    x509_certificate_identifier: structures.X509CertificateIdentifier | None = None
    x509_certificate_issuer: structures.X509CertificateIssuer | None = None
    x509_certificate_subject: structures.X509CertificateSubject | None = None


class Rule(NamedTuple):
    """What a client may do with an attribute, and whether Locate has an index on it."""

    set: bool = True  # when the object is made
    modify: bool = True  # afterwards: Set, Add, Modify Attribute
    delete: bool = True
    indexed: bool = False  # copied into the store's labels


_BY_SERVER = Rule(set=False, modify=False, delete=False)
_ONCE = Rule(modify=False, delete=False)
_KEPT = Rule(delete=False)
_INDEXED = Rule(indexed=True)

# One row per attribute that is not free for the client to set, change and delete, or is indexed.
# Not indexed although Locate uses them: what the store keeps in columns of its own.
RULES: dict[str, Rule] = {
    "activation_date": _KEPT,
    "alternative_name": _INDEXED,
    "always_sensitive": _BY_SERVER,
    "application_specific_information": _INDEXED,
    "archive_date": _BY_SERVER,
    "attribute": _INDEXED,
    "certificate_attributes": Rule(set=True, modify=False, delete=False, indexed=True),
    "certificate_type": Rule(set=True, modify=False, delete=False, indexed=True),
    "certificate_length": _BY_SERVER,
    "compromise_date": _BY_SERVER,
    "compromise_occurrence_date": _BY_SERVER,
    "contact_information": _INDEXED,
    "deactivation_date": _KEPT,
    "destroy_date": _BY_SERVER,
    "digest": _BY_SERVER,
    "digital_signature_algorithm": _BY_SERVER,
    "extractable": _KEPT,
    "fresh": _ONCE,
    "initial_date": _BY_SERVER,
    "key_format_type": Rule(modify=False, delete=False, indexed=True),
    "key_value_location": _INDEXED,
    "key_value_present": _BY_SERVER,
    "last_change_date": _BY_SERVER,
    "lease_time": _BY_SERVER,
    "link": _INDEXED,
    "name": _INDEXED,
    "never_extractable": _BY_SERVER,
    "nist_key_type": _KEPT,
    "object_group": _INDEXED,
    "object_type": _ONCE,
    "opaque_data_type": Rule(modify=False, delete=False, indexed=True),
    "original_creation_date": _ONCE,
    "pkcs12_friendly_name": _INDEXED,
    "protection_storage_mask": _BY_SERVER,
    "random_number_generator": _ONCE,
    "revocation_reason": _BY_SERVER,
    "rotate_date": _BY_SERVER,
    "rotate_generation": _BY_SERVER,
    "rotate_latest": _BY_SERVER,
    "rotate_name": _INDEXED,
    "sensitive": _KEPT,
    "short_unique_identifier": Rule(set=False, modify=False, delete=False, indexed=True),
    "state": _BY_SERVER,
    "unique_identifier": _ONCE,
    "x509_certificate_identifier": Rule(set=False, modify=False, delete=False, indexed=True),
    "x509_certificate_issuer": Rule(set=False, modify=False, delete=False, indexed=True),
    "x509_certificate_subject": Rule(set=False, modify=False, delete=False, indexed=True),
}
_FREE = Rule()

BY_THE_BOOK_FIXED = frozenset(
    {
        "cryptographic_algorithm",
        "cryptographic_domain_parameters",
        "cryptographic_length",
        "cryptographic_usage_mask",
        "nist_key_type",
    }
)
"""What KMIP lets no client change once it has a value, but the product does."""

FOR_THE_BOOK = frozenset(
    {
        "lease_time",
        "operation_policy_name",
        "protection_storage_mask",
        "random_number_generator",
        "short_unique_identifier",
    }
)
"""What every object has by the book, and the product's clients see only when they ask for it."""


def rule(field: str) -> Rule:
    """Return the rules of the attribute whose field is called `field`."""
    return RULES.get(field, _FREE)


# Tags travel as a vendor attribute of the product: a JSON list of texts.

VENDOR = "cosmian"
TAG = "tag"


def vendor_value(attributes: Attributes, name: str, vendor: str = VENDOR) -> bytes | None:
    """Return the value of a vendor attribute as bytes; a text is its UTF-8."""
    for attribute in attributes.attribute:
        if attribute.vendor_identification == vendor and attribute.attribute_name == name:
            value = attribute.attribute_value and attribute.attribute_value.value
            return (
                value.encode()
                if isinstance(value, str)
                else value
                if isinstance(value, bytes)
                else None
            )
    return None


def without_vendor(attributes: Attributes, name: str, vendor: str = VENDOR) -> Attributes:
    """Return `attributes` without one vendor attribute."""
    kept = tuple(
        attribute
        for attribute in attributes.attribute
        if (attribute.vendor_identification, attribute.attribute_name) != (vendor, name)
    )
    return msgspec.structs.replace(attributes, attribute=kept)


def with_vendor(attributes: Attributes, name: str, value: Item, vendor: str = VENDOR) -> Attributes:
    """Return `attributes` with one vendor attribute set to `value`."""
    attribute = structures.Attribute(
        vendor_identification=vendor, attribute_name=name, attribute_value=value
    )
    others = without_vendor(attributes, name, vendor)
    return msgspec.structs.replace(others, attribute=(*others.attribute, attribute))


def tags(attributes: Attributes) -> frozenset[str]:
    """Return an object's tags, its system tags among them.

    Raises:
        ValueError: the attribute is not a JSON list of texts.
    """
    value = vendor_value(attributes, TAG)
    return frozenset(msgspec.json.decode(value, type=list[str])) if value else frozenset()


def with_tags(attributes: Attributes, names: frozenset[str]) -> Attributes:
    """Return `attributes` with exactly these tags."""
    if not names:
        return without_vendor(attributes, TAG)
    text = json.dumps(sorted(names), separators=(",", ":"), ensure_ascii=False)
    return with_vendor(attributes, TAG, Item("AttributeValue", ItemType.TEXT_STRING, text))


class Label(NamedTuple):
    """One thing that Locate finds an object by: equal to `value`, or with `number` in a range."""

    name: str
    value: str
    number: int | None = None


def labels(attributes: Attributes) -> tuple[Label, ...]:
    """Return the labels of an object: what its indexed attributes, and their parts, are equal to.

    A structure has a label for each part (`Name.NameValue`), a vendor attribute one under its own
    name, and each tag one. The same function makes the conditions of a Locate.
    """
    found: dict[Label, None] = {Label(TAG, tag): None for tag in tags(attributes)}
    for field in compiled(Attributes).fields:
        value = getattr(attributes, field.name)
        if value is None or value == () or not rule(field.name).indexed:
            continue
        for each in value if field.repeated else (value,):
            found.update(dict.fromkeys(_labels_of(field.write(field.tag, each))))
    return tuple(found)


def _labels_of(item: Item) -> Iterator[Label]:
    if item.tag == "Attribute":
        yield from _vendor_labels(item)
    elif item.type is ItemType.STRUCTURE:
        yield from (_label(f"{item.tag}.{child.tag}", child) for child in item.children)
    else:
        yield _label(item.tag, item)


def _vendor_labels(item: Item) -> Iterator[Label]:
    """Yield the label of a vendor attribute: compared as text, whatever type it came in."""
    vendor, name, *value = item.children
    if value and (vendor.value, name.value) != (VENDOR, TAG):
        yield _label(f"Attribute {vendor.value!s} {name.value!s}", value[0])


def _label(name: str, item: Item) -> Label:
    value = item.value
    if isinstance(value, bytes):
        try:
            return Label(name, value.decode())
        except UnicodeDecodeError:
            return Label(name, value.hex())
    if isinstance(value, list):  # a structure within: compared as a whole
        return Label(name, hashlib.sha256(repr(_plain(item)).encode()).hexdigest())
    if isinstance(value, int):
        return Label(name, str(int(value)), int(value))
    return Label(name, value)


def _plain(item: Item) -> object:
    if item.type is ItemType.STRUCTURE:
        return (item.tag, *map(_plain, item.children))
    return (item.tag, int(item.value) if isinstance(item.value, int) else item.value)


def present(attributes: Attributes) -> list[str]:
    """Return the fields of the attributes that are set, in the order of the specification."""
    fields = compiled(Attributes).fields
    return [field.name for field in fields if getattr(attributes, field.name) not in (None, ())]


def as_items(attributes: Attributes) -> list[Item]:
    """Return the attributes as items, one for each value."""
    return dump(attributes).children
