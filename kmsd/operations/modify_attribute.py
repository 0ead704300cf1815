"""Modify Attribute (KMIP 2.1 §6.1.34)."""

from typing import Any

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure
from kmsd.ttlv.tags import spelled


class ModifyAttribute(Structure):
    """Request payload; the index is KMIP 1.x's way to say which value is meant."""

    unique_identifier: str | None = None
    current_attribute: Attributes | None = None
    new_attribute: Attributes
    attribute_index: int | None = None


class ModifyAttributeResponse(Structure):
    """Response payload; the attribute is for KMIP 1.x."""

    unique_identifier: str
    attributes: Attributes | None = None


async def modify_attribute(call: Call, request: ModifyAttribute) -> ModifyAttributeResponse:
    """Change the value of an attribute that the object has.

    Of a repeated attribute the request says which value is meant, unless it has but one.

    Raises:
        KmipError: the attribute is the server's, is not there, or it is unclear which value is
            meant.
    """
    record = call.target
    field, value = changing.single(request.new_attribute)
    changing.check_modifiable(record, field, call)
    present = getattr(record.attributes, field)
    if present in (None, ()):
        raise KmipError(
            ResultReason.ATTRIBUTE_NOT_FOUND,
            f"the object has no {spelled(field)} to modify: use Add Attribute",
        )
    new = value
    if changing.is_repeated(field):
        value = _replaced(present, _meant(request, field, present, value), value[0])
    attributes = msgspec.structs.replace(record.attributes, **{field: value})
    await changing.write(call, record, attributes)
    return ModifyAttributeResponse(
        unique_identifier=record.unique_identifier, attributes=changing.echoed(call, field, new)
    )


def _meant(request: ModifyAttribute, field: str, present: tuple[Any, ...], new: Any) -> Any:
    """Return the value that is to be replaced."""
    if request.attribute_index is not None:
        return changing.instance(field, present, request.attribute_index)
    if request.current_attribute is not None:
        wanted = getattr(request.current_attribute, field)
        for each in present:
            if (each,) == wanted:
                return each
    else:
        same = [each for each in present if changing.key_of(each) == changing.key_of(new[0])]
        if same or len(present) == 1:
            return (same or present)[0]
    raise KmipError(
        ResultReason.ATTRIBUTE_INSTANCE_NOT_FOUND,
        f"say with CurrentAttribute which {spelled(field)} of the object is meant",
    )


def _replaced(present: tuple[Any, ...], old: Any, new: Any) -> tuple[Any, ...]:
    return tuple(new if each is old else each for each in present)
