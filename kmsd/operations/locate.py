"""Locate (KMIP 2.1 §6.1.28)."""

from typing import Any

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicUsageMask,
    ObjectGroupMember,
    ResultReason,
    State,
    StorageStatusMask,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.states import GONE
from kmsd.operations.call import Call
from kmsd.store.interfaces import Query, Range, Record
from kmsd.ttlv import Item, ItemType, TtlvError
from kmsd.ttlv.schema import Structure, compiled, load

_PAGE = 1_000
_COLUMNS = frozenset(
    {"object_type", "cryptographic_algorithm", "cryptographic_length", "state", "unique_identifier"}
)
"""What the store compares in columns of its own; indexed attributes are labels."""


class Locate(Structure):
    """Request payload. A date that comes twice among the attributes means a range."""

    maximum_items: int | None = None
    offset_items: int | None = None
    storage_status_mask: StorageStatusMask | None = None
    object_group_member: ObjectGroupMember | None = None
    attributes: Item | None = None


class LocateResponse(Structure):
    """Response payload."""

    located_items: int | None = None
    unique_identifier: tuple[str, ...] = ()


async def locate(call: Call, request: Locate) -> LocateResponse:
    """Find the objects the caller may use that have all the given attributes.

    Raises:
        KmipError: an attribute is malformed.
    """
    wanted, ranges = _wanted(request.attributes)
    if call.generation is Generation.V4 and _is_for_user_keys(wanted):
        return LocateResponse(located_items=0)
    limit = min(
        call.services.limits.located_items
        if request.maximum_items is None
        else max(request.maximum_items, 0),
        call.services.limits.located_items,
    )
    query = Query(
        accessible_to=call.caller.name,
        labels=tuple((label.name, label.value) for label in attribute_rules.labels(wanted)),
        object_type=wanted.object_type,
        cryptographic_algorithm=wanted.cryptographic_algorithm,
        cryptographic_length=wanted.cryptographic_length,
        states=_states(call, request, wanted),
        now=call.now,
        ranges=ranges,
        limit=limit,
        offset=max(request.offset_items or 0, 0),
    )
    if wanted.unique_identifier is not None:
        return await _among(call, query, wanted, (wanted.unique_identifier,))
    if _needs_reading(wanted):
        return await _among(call, query, wanted, None)
    found = await call.store.find(query)
    return LocateResponse(located_items=found.total, unique_identifier=found.unique_identifiers)


def _wanted(given: Item | None) -> tuple[Attributes, tuple[Range, ...]]:
    """Split the attributes into those that are equal to something, and ranges of dates."""
    dates: dict[str, list[int]] = {}
    others: list[Item] = []
    fields = compiled(Attributes).by_tag
    for item in given.children if given else ():
        if item.type in {ItemType.DATE_TIME, ItemType.DATE_TIME_EXTENDED} and item.tag in fields:
            dates.setdefault(fields[item.tag].name, []).append(int(item.value))  # type: ignore[arg-type]
        else:
            others.append(item)
    try:
        wanted = load(Attributes, Item("Attributes", ItemType.STRUCTURE, others))
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_ATTRIBUTE, str(error)) from None
    return wanted, tuple(
        Range(name=name, low=min(values), high=max(values)) for name, values in dates.items()
    )


def _is_for_user_keys(wanted: Attributes) -> bool:
    return attribute_rules.vendor_value(wanted, "cover_crypt_access_policy") is not None


def _states(call: Call, request: Locate, wanted: Attributes) -> frozenset[State]:
    if wanted.state is not None:
        return frozenset({wanted.state})
    if call.generation is Generation.V4:  # its servers find active objects only
        return frozenset({State.ACTIVE})
    if (
        request.storage_status_mask
        and request.storage_status_mask & StorageStatusMask.DESTROYED_STORAGE
    ):
        return frozenset(State)
    return frozenset(State) - GONE


def _needs_reading(wanted: Attributes) -> bool:
    """Tell whether an attribute is asked for that only the objects themselves can answer."""
    return any(
        field not in _COLUMNS and not attribute_rules.rule(field).indexed
        for field in attribute_rules.present(wanted)
    ) or any(len(getattr(wanted, field)) > 1 for field in ("name", "link"))


async def _among(
    call: Call, query: Query, wanted: Attributes, only: tuple[str, ...] | None
) -> LocateResponse:
    """Read what the index finds and keep the objects that match in full."""
    matching: list[str] = []
    offset = 0
    while True:
        page = await call.store.find(msgspec.structs.replace(query, limit=_PAGE, offset=offset))
        uids = page.unique_identifiers
        records = await call.store.get_many([uid for uid in uids if only is None or uid in only])
        matching += [uid for uid in uids if uid in records and _matches(records[uid], wanted)]
        offset += _PAGE
        if len(uids) < _PAGE:
            break
    limit = query.limit if query.limit is not None else len(matching)
    return LocateResponse(
        located_items=len(matching),
        unique_identifier=tuple(matching[query.offset : query.offset + limit]),
    )


def _matches(record: Record, wanted: Attributes) -> bool:
    return all(
        _has(getattr(record.attributes, field), getattr(wanted, field))
        for field in attribute_rules.present(wanted)
        if field not in {"state", "attribute"}
    )


def _has(value: Any, wanted: Any) -> bool:
    """Compare one attribute: masks must include the bits, repeated ones each value."""
    if isinstance(wanted, CryptographicUsageMask):
        return value is not None and value & wanted == wanted
    if isinstance(wanted, tuple):
        return all(any(_part_of(each, one) for one in value) for each in wanted)
    return _part_of(wanted, value)


def _part_of(wanted: Any, value: Any) -> bool:
    """A structure matches when every field that is given is equal."""
    if not isinstance(wanted, Structure) or not isinstance(value, Structure):
        return bool(wanted == value)
    return all(
        getattr(wanted, field.name) in (None, ())
        or getattr(wanted, field.name) == getattr(value, field.name)
        for field in compiled(type(wanted)).fields
    )
