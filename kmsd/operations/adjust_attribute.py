"""Adjust Attribute (KMIP 2.1 §6.1.3)."""

from typing import Any

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import AdjustmentType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import changing
from kmsd.operations.call import Call
from kmsd.ttlv import Item, ItemType, TtlvError
from kmsd.ttlv.schema import Structure, compiled, dump, load
from kmsd.ttlv.tags import spelled

_NUMBERS = frozenset(
    {
        ItemType.INTEGER,
        ItemType.LONG_INTEGER,
        ItemType.BIG_INTEGER,
        ItemType.INTERVAL,
        ItemType.DATE_TIME,
        ItemType.DATE_TIME_EXTENDED,
    }
)


class AdjustAttribute(Structure):
    """Request payload; without a value numbers move by one."""

    unique_identifier: str | None = None
    attribute_reference: Item
    adjustment_type: AdjustmentType
    adjustment_value: Item | None = None


class AdjustAttributeResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def adjust_attribute(call: Call, request: AdjustAttribute) -> AdjustAttributeResponse:
    """Add to, take from, or turn round the one value of a number or truth value.

    Raises:
        KmipError: the attribute is read-only, repeated, of another type, or would leave its range.
    """
    record = call.target
    reference = changing.referenced(request.attribute_reference)
    if isinstance(reference, tuple):
        field, value = "attribute", _vendor(record.attributes, reference, request)
    else:
        field = _single(reference)
        value = _adjusted_field(record.attributes, field, request)
    changing.check_modifiable(record, field, call)
    attributes = msgspec.structs.replace(record.attributes, **{field: value})
    await changing.write(call, record, attributes)
    return AdjustAttributeResponse(unique_identifier=record.unique_identifier)


def _single(reference: str) -> str:
    if spelled(reference) not in compiled(Attributes).by_tag:
        raise KmipError(ResultReason.UNSUPPORTED_ATTRIBUTE, f"there is no attribute {reference}")
    if changing.is_repeated(reference):
        raise KmipError(
            ResultReason.MULTI_VALUED_ATTRIBUTE,
            f"{spelled(reference)} may have several values: which one is meant cannot be said",
        )
    return reference


def _adjusted_field(attributes: Attributes, field: str, request: AdjustAttribute) -> Any:
    """Return the new value of an attribute, read back by its own rules."""
    tag = spelled(field)
    present = dump(attributes).child(tag) or _nothing(tag)
    item = Item(tag, present.type, _adjusted(present, request))
    try:
        return getattr(load(Attributes, Item("Attributes", ItemType.STRUCTURE, [item])), field)
    except TtlvError as error:
        raise KmipError(ResultReason.NUMERIC_RANGE, str(error)) from None


def _nothing(tag: str) -> Item:
    """Return what an attribute without a value counts as: zero or false, if that is of its type."""
    for zero in (Item(tag, ItemType.BOOLEAN, value=False), *(Item(tag, t, 0) for t in _NUMBERS)):
        try:
            load(Attributes, Item("Attributes", ItemType.STRUCTURE, [zero]))
        except TtlvError:
            continue
        return zero
    raise _wrong_type(tag)


def _vendor(
    attributes: Attributes, names: tuple[str, str], request: AdjustAttribute
) -> tuple[Any, ...]:
    """Return the vendor attributes with one of them adjusted."""
    same = [each for each in attributes.attribute if changing.key_of(each) == names]
    if len(same) != 1 or same[0].attribute_value is None:
        raise KmipError(ResultReason.ATTRIBUTE_NOT_FOUND, f"the object has no {'-'.join(names)}")
    old = same[0].attribute_value
    new = Item(old.tag, old.type, _adjusted(old, request))
    adjusted = msgspec.structs.replace(same[0], attribute_value=new)
    return tuple(adjusted if each is same[0] else each for each in attributes.attribute)


def _adjusted(present: Item, request: AdjustAttribute) -> int | bool:
    negate = request.adjustment_type is AdjustmentType.NEGATE
    value = present.value
    if isinstance(value, bool) and negate:
        return not value
    if present.type not in _NUMBERS or not isinstance(value, int):
        raise _wrong_type(present.tag)
    if negate:
        return -value
    step = _step(request)
    return value + step if request.adjustment_type is AdjustmentType.INCREMENT else value - step


def _step(request: AdjustAttribute) -> int:
    given = request.adjustment_value
    if given is None:
        return 1
    if given.type not in _NUMBERS or not isinstance(given.value, int):
        raise _wrong_type(given.tag)
    return given.value


def _wrong_type(tag: str) -> KmipError:
    return KmipError(ResultReason.INVALID_DATA_TYPE, f"{tag} is nothing that can be adjusted so")
