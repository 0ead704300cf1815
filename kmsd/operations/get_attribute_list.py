"""Get Attribute List (KMIP 2.1 §6.1.21)."""

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip import spreading
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import AttributeReference
from kmsd.operations.call import Call
from kmsd.operations.get_attributes import current, without_book
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Structure, dump
from kmsd.ttlv.tags import TAGS, spelled


class GetAttributeList(Structure):
    """Request payload."""

    unique_identifier: str | None = None


class GetAttributeListResponse(Structure):
    """Response payload."""

    unique_identifier: str
    attribute_reference: tuple[Item, ...] = ()


async def get_attribute_list(call: Call, _request: GetAttributeList) -> GetAttributeListResponse:
    """Return the names of the attributes that the object has."""
    attributes = current(call, call.target)
    if call.generation is not Generation.KMIP:
        attributes = without_book(attributes)
    names = [field for field in attribute_rules.present(attributes) if field != "attribute"]
    references = [_by_tag(tag) for name in names for tag in _tags(call, attributes, name)]
    references += [
        dump(
            AttributeReference(
                vendor_identification=each.vendor_identification,
                attribute_name=each.attribute_name,
            )
        )
        for each in attributes.attribute
    ]
    return GetAttributeListResponse(
        unique_identifier=call.target.unique_identifier, attribute_reference=tuple(references)
    )


def _tags(call: Call, attributes: Attributes, name: str) -> list[str]:
    """Return the tag of an attribute; by the book the names in a certificate have one each."""
    whole = attributes.certificate_attributes
    if name != "certificate_attributes" or whole is None or call.generation is not Generation.KMIP:
        return [spelled(name)]
    return [tag for tag, field in spreading.PARTS.items() if getattr(whole, field) is not None]


class TagNumber(int):
    """The number of a tag as an enumeration value that knows its name."""

    wire_name: str

    @classmethod
    def of(cls, tag: str) -> "TagNumber":
        """Return the number of the tag called `tag`."""
        number = cls(TAGS[tag].number)
        number.wire_name = tag
        return number


def _by_tag(tag: str) -> Item:
    return Item("AttributeReference", ItemType.ENUMERATION, TagNumber.of(tag))
