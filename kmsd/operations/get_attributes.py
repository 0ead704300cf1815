"""Get Attributes (KMIP 2.1 §6.1.20)."""

from typing import Any

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip import spreading
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import key_block
from kmsd.kmip.states import effective_state
from kmsd.kmip.structures import CertificateAttributes
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record
from kmsd.ttlv import Item
from kmsd.ttlv.schema import Structure


class GetAttributes(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    attribute_reference: tuple[Item, ...] = ()


class GetAttributesResponse(Structure):
    """Response payload."""

    unique_identifier: str
    attributes: Attributes


# What the 4.x product answers to references that are no attributes of their own.
_ALIASES = {
    "LinkType": "link",
    "VendorExtension": "attribute",
    "Certificate": "certificate_attributes",
}


async def get_attributes(call: Call, request: GetAttributes) -> GetAttributesResponse:
    """Return the attributes asked for, or all. Those the object does not have are left out."""
    shown = current(call, call.target)
    if request.attribute_reference:
        shown = _selected(call, shown, request.attribute_reference)
    elif call.generation is not Generation.KMIP:
        shown = without_book(shown)
    return GetAttributesResponse(unique_identifier=call.target.unique_identifier, attributes=shown)


def current(call: Call, record: Record) -> Attributes:
    """Return a record's attributes with the state as of now.

    The product tells in which format a key is stored, KMIP in which it came.
    """
    attributes = record.attributes
    stored = key_block(record.managed_object)
    if call.generation is not Generation.KMIP and stored is not None:
        attributes = msgspec.structs.replace(attributes, key_format_type=stored.key_format_type)
    return msgspec.structs.replace(attributes, state=effective_state(attributes, call.now))


def without_book(attributes: Attributes) -> Attributes:
    """Return the attributes without those that the product's clients need not know."""
    return msgspec.structs.replace(
        attributes, **dict.fromkeys(attribute_rules.FOR_THE_BOOK), fresh=None
    )


def _selected(call: Call, attributes: Attributes, references: tuple[Item, ...]) -> Attributes:
    values: dict[str, Any] = {}
    if call.generation is not Generation.KMIP:  # the product always tells the type
        values["object_type"] = attributes.object_type
    vendor: list[Any] = []
    names: list[str] = []
    for reference in map(changing.referenced, references):
        if isinstance(reference, tuple):
            vendor += [each for each in attributes.attribute if changing.key_of(each) == reference]
        else:
            field = _ALIASES.get(reference, reference)
            if field in attribute_rules.present(attributes):
                values[field] = getattr(attributes, field)
            elif field in spreading.PARTS and attributes.certificate_attributes is not None:
                names.append(spreading.PARTS[field])
    if names and "certificate_attributes" not in values:
        values["certificate_attributes"] = _parts(attributes, names)
    if vendor and "attribute" not in values:
        values["attribute"] = tuple(vendor)
    return Attributes(**values)


def _parts(attributes: Attributes, names: list[str]) -> CertificateAttributes:
    whole = attributes.certificate_attributes
    return CertificateAttributes(**{name: getattr(whole, name) for name in names})
