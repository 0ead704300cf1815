"""Add Attribute (KMIP 2.1 §6.1.2)."""

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure
from kmsd.ttlv.tags import spelled


class AddAttribute(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    new_attribute: Attributes


class AddAttributeResponse(Structure):
    """Response payload; the attribute is for KMIP 1.x."""

    unique_identifier: str
    attributes: Attributes | None = None


async def add_attribute(call: Call, request: AddAttribute) -> AddAttributeResponse:
    """Add an attribute that the object does not have, or one more value of a repeated one.

    Raises:
        KmipError: the attribute is the server's, or has its one value already.
    """
    record = call.target
    field, value = changing.single(request.new_attribute)
    changing.check_addable(record, field, call)
    present = getattr(record.attributes, field)
    added = value
    if changing.is_repeated(field):
        if set(map(repr, value)) & set(map(repr, present)):
            taken = ResultReason.OBJECT_ALREADY_EXISTS
            raise KmipError(
                ResultReason.NON_UNIQUE_NAME_ATTRIBUTE if field == "name" else taken,
                f"the object has this {spelled(field)} already",
            )
        value = (*present, *value)
    elif present is not None:
        raise KmipError(
            ResultReason.ATTRIBUTE_SINGLE_VALUED,
            f"{spelled(field)} has a value and can have one only: use Modify Attribute",
        )
    attributes = msgspec.structs.replace(record.attributes, **{field: value})
    await changing.write(call, record, attributes)
    return AddAttributeResponse(
        unique_identifier=record.unique_identifier,
        attributes=changing.echoed(call, field, added),
    )
