"""Delete Attribute (KMIP 2.1 §6.1.13)."""

from typing import Any

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip import versions
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.operations.set_attribute import KEYED
from kmsd.ttlv import Item
from kmsd.ttlv.schema import Structure
from kmsd.ttlv.tags import spelled


class DeleteAttribute(Structure):
    """Request payload; the index is KMIP 1.x's way to say which value is meant."""

    unique_identifier: str | None = None
    current_attribute: Attributes | None = None
    attribute_reference: tuple[Item, ...] = ()
    attribute_index: int | None = None


class DeleteAttributeResponse(Structure):
    """Response payload; the attribute is for KMIP 1.x."""

    unique_identifier: str
    attributes: Attributes | None = None


async def delete_attribute(call: Call, request: DeleteAttribute) -> DeleteAttributeResponse:
    """Delete one value of an attribute (Current Attribute), or all of some (references).

    Raises:
        KmipError: the attribute may not be deleted, is not there, or the request names none.
    """
    record = call.target
    if call.version < versions.TWO:
        return await _delete_one(call, request)
    attributes = record.attributes
    if request.current_attribute is not None:
        attributes = _without_value(attributes, *changing.single(request.current_attribute))
    for reference in map(changing.referenced, request.attribute_reference):
        attributes = _without(attributes, reference)
    if attributes is record.attributes:
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            "Delete Attribute wants a CurrentAttribute or an AttributeReference",
        )
    await changing.write(call, record, attributes)
    return DeleteAttributeResponse(unique_identifier=record.unique_identifier)


async def _delete_one(call: Call, request: DeleteAttribute) -> DeleteAttributeResponse:
    """Delete the one value that a 1.x request means, and answer with it."""
    record = call.target
    references = [*map(changing.referenced, request.attribute_reference)]
    if len(references) != 1:
        raise KmipError(ResultReason.INVALID_MESSAGE, "Delete Attribute wants one AttributeName")
    field, present = _values(record.attributes, references[0])
    value: Any = present
    if changing.is_repeated(field):
        value = (changing.instance(field, present, request.attribute_index or 0),)
    await changing.write(call, record, _without_value(record.attributes, field, value))
    return DeleteAttributeResponse(
        unique_identifier=record.unique_identifier,
        attributes=changing.echoed(call, field, value),
    )


def _values(attributes: Attributes, reference: str | tuple[str, str]) -> tuple[str, Any]:
    """Return the field that a reference means and what the object has of it."""
    if isinstance(reference, tuple):
        same = tuple(each for each in attributes.attribute if changing.key_of(each) == reference)
        if not same:
            raise _not_found("-".join(reference))
        return "attribute", same
    if reference not in attribute_rules.present(attributes):
        raise _not_found(reference)
    return reference, getattr(attributes, reference)


def _without_value(attributes: Attributes, field: str, value: Any) -> Attributes:
    """Return the attributes without one value; links and vendor attributes go by their key."""
    _check_deletable(field)
    present = getattr(attributes, field)
    if changing.is_repeated(field):
        same = changing.key_of if field in KEYED else lambda each: each
        unwanted = [same(each) for each in value]
        kept = tuple(each for each in present if same(each) not in unwanted)
        if len(kept) == len(present):
            raise _not_found(field)
        return msgspec.structs.replace(attributes, **{field: kept})
    if present != value:
        raise _not_found(field)
    return msgspec.structs.replace(attributes, **{field: None})


def _without(attributes: Attributes, reference: str | tuple[str, str]) -> Attributes:
    """Return the attributes without any value of one."""
    if isinstance(reference, tuple):
        vendor, name = reference
        shorter = attribute_rules.without_vendor(attributes, name, vendor)
        if len(shorter.attribute) == len(attributes.attribute):
            raise _not_found(f"{vendor} {name}")
        return shorter
    if reference not in attribute_rules.present(attributes):
        raise _not_found(reference)
    _check_deletable(reference)
    empty: Any = () if changing.is_repeated(reference) else None
    return msgspec.structs.replace(attributes, **{reference: empty})


def _check_deletable(field: str) -> None:
    if not attribute_rules.rule(field).delete:
        raise KmipError(
            ResultReason.ATTRIBUTE_READ_ONLY,
            f"{spelled(field)} cannot be deleted: it is read-only or server-managed",
        )


def _not_found(name: str) -> KmipError:
    return KmipError(ResultReason.ATTRIBUTE_NOT_FOUND, f"the object has no such {spelled(name)}")
