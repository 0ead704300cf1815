"""Set Attribute (KMIP 2.1 §6.1.51)."""

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure
from kmsd.ttlv.tags import spelled

KEYED = frozenset({"link", "attribute"})
"""Repeated attributes of which there is one instance for each link type or vendor name."""


class SetAttribute(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    new_attribute: Attributes


class SetAttributeResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def set_attribute(call: Call, request: SetAttribute) -> SetAttributeResponse:
    """Give a single-valued attribute its value, whether it had one or not.

    Links are set for each link type, vendor attributes for each name.

    Raises:
        KmipError: the attribute is the server's, has several values, or is fixed by now.
    """
    record = call.target
    field, value = changing.single(request.new_attribute)
    changing.check_modifiable(record, field, call)
    if field in KEYED:
        new_keys = {changing.key_of(each) for each in value}
        kept = [
            each
            for each in getattr(record.attributes, field)
            if changing.key_of(each) not in new_keys
        ]
        value = (*kept, *value)
    elif changing.is_repeated(field):
        raise KmipError(
            ResultReason.MULTI_VALUED_ATTRIBUTE,
            f"{spelled(field)} may have several values: use Add, Modify or Delete Attribute",
        )
    attributes = msgspec.structs.replace(record.attributes, **{field: value})
    await changing.write(call, record, attributes)
    return SetAttributeResponse(unique_identifier=record.unique_identifier)
