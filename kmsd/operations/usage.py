"""Usage limits: what a key may still protect, taken before it is used. Source: KMIP 2.1 §4.59."""

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ResultReason, UsageLimitsUnit
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import UsageLimits
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record, Replace, StaleRecord

_TRIES = 100
"""How often the count is tried to be taken while others take theirs; each time one of them does."""


def remaining(limits: UsageLimits) -> int:
    """Return how many units are left: all of them as long as none was counted."""
    count = limits.usage_limits_count
    return limits.usage_limits_total if count is None else min(count, limits.usage_limits_total)


async def spend(call: Call, size: int, *, objects: int = 1) -> None:
    """Take from the target's usage limits, if it has any, what protecting `size` bytes costs.

    The count is written, and on disk, before the key is used, and by compare-and-set: two servers
    that use one key never spend more than there is. What fails afterwards stays spent. A later
    part of a stream is no object of its own (`objects` 0).

    Raises:
        KmipError: PERMISSION_DENIED: there is not so much left.
        StaleRecord: the key was changed otherwise; the engine looks at it anew.
    """
    limits = call.target.attributes.usage_limits
    if limits is None:
        return
    cost = size if limits.usage_limits_unit is UsageLimitsUnit.BYTE else objects
    if cost:
        await take(call, cost, ResultReason.PERMISSION_DENIED)


async def take(call: Call, cost: int, refusal: ResultReason) -> None:
    """Take `cost` units from the target's usage limits; refuse with the reason `refusal`."""
    record = call.target
    for _ in range(_TRIES):
        try:
            await call.store.write(Replace(_reduced(record, cost, refusal)))
        except StaleRecord:
            record = await _recounted(call, record)
        else:
            return
    raise StaleRecord(record.unique_identifier)


def _reduced(record: Record, cost: int, refusal: ResultReason) -> Record:
    limits = record.attributes.usage_limits
    left = remaining(limits) - cost if limits else -1
    if limits is None or left < 0:
        raise KmipError(
            refusal,
            f"DENIED: the usage limits of {record.unique_identifier} are reached: it has less than"
            f" the {cost} units left that this needs",
        )
    attributes = msgspec.structs.replace(
        record.attributes, usage_limits=msgspec.structs.replace(limits, usage_limits_count=left)
    )
    return msgspec.structs.replace(record, attributes=attributes)


async def _recounted(call: Call, record: Record) -> Record:
    """Return the record as it is now, if only its count has changed since it was checked.

    Raises:
        StaleRecord: more has changed, perhaps the right to use it.
    """
    fresh = await call.store.get(record.unique_identifier)
    if fresh is None or _but_for_count(fresh) != _but_for_count(record):
        raise StaleRecord(record.unique_identifier)
    return fresh


def _but_for_count(record: Record) -> tuple[Attributes, object]:
    attributes = msgspec.structs.replace(
        record.attributes, usage_limits=None, last_change_date=None
    )
    return attributes, record.grants
