"""What the rotations share: Re-key, Re-key Key Pair and Re-certify give an object a successor.

The successor has the attributes of the object but for those that belong to one value of the key:
dates, digest, links, what was compromised or revoked. It takes over the names, and the grants, so
that whoever may use the object may use what replaces it. The object itself stays, to process what
it protected: it is deactivated from the moment at which its successor becomes active.

Source: KMIP 2.1 §6.1.45 to §6.1.47.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType, Operation, ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import ManagedObject
from kmsd.kmip.states import GONE, effective_state
from kmsd.operations import making
from kmsd.operations.call import Call
from kmsd.operations.links import with_first_link
from kmsd.store.interfaces import Record

ROTATABLE = frozenset({State.ACTIVE, State.DEACTIVATED, State.COMPROMISED})

_NOT_COPIED = (
    "archive_date",
    "certificate_attributes",
    "certificate_length",
    "compromise_date",
    "compromise_occurrence_date",
    "destroy_date",
    "fresh",
    "lease_time",
    "original_creation_date",
    "random_number_generator",
    "revocation_reason",
    "rotate_automatic",
    "rotate_date",
    "rotate_generation",
    "rotate_interval",
    "rotate_latest",
    "rotate_name",
    "rotate_offset",
    "short_unique_identifier",
    "unique_identifier",
    "x509_certificate_identifier",
    "x509_certificate_issuer",
    "x509_certificate_subject",
)
_SHIFTED = ("process_start_date", "protect_stop_date", "deactivation_date")


def check_rotatable(
    call: Call,
    operation: Operation,
    record: Record,
    reason: ResultReason = ResultReason.WRONG_KEY_LIFECYCLE_STATE,
) -> None:
    """Let an object be rotated.

    Raises:
        KmipError: `reason`, when it was never active or is destroyed; or it belongs to a key set
            that has a newer generation.
    """
    uid, state = record.unique_identifier, effective_state(record.attributes, call.now)
    if state not in ROTATABLE:
        raise KmipError(
            reason,
            f"DENIED: {operation.wire_name}: {uid} is in state '{state.wire_name}': only Active,"
            " Deactivated, or Compromised keys can be rotated",
        )
    if record.attributes.rotate_name is not None and record.attributes.rotate_latest is False:
        raise KmipError(
            ResultReason.ILLEGAL_OPERATION,
            f"{operation.wire_name}: {uid} is not the latest generation of the keyset"
            f" {record.attributes.rotate_name}: rotate the latest one",
        )


def check_not_gone(call: Call, operation: Operation, record: Record) -> None:
    """Let an object be rotated that is not destroyed. Raises: KmipError."""
    state = effective_state(record.attributes, call.now)
    if state in GONE:
        raise KmipError(
            ResultReason.WRONG_KEY_LIFECYCLE_STATE,
            f"DENIED: {operation.wire_name}: {record.unique_identifier} is in state"
            f" '{state.wire_name}'",
        )


def next_identifier(record: Record) -> str | None:
    """Return the identifier of the next generation of a key set; None where it is a free choice."""
    name = record.attributes.rotate_name
    return None if name is None else f"{name}@{(record.attributes.rotate_generation or 0) + 1}"


def inherited(call: Call, record: Record, offset: int | None) -> Attributes:
    """Return what a successor that becomes active in `offset` seconds takes over."""
    attributes = record.attributes
    values: dict[str, Any] = dict.fromkeys(_NOT_COPIED)
    values |= _dates(attributes, call.now, offset)
    values |= {"state": None, "digest": (), "link": (), "usage_limits": _unused(attributes)}
    return making.without_system_tags(msgspec.structs.replace(attributes, **values))


def _unused(attributes: Attributes) -> Any:
    limits = attributes.usage_limits
    if limits is None:
        return None
    return msgspec.structs.replace(limits, usage_limits_count=limits.usage_limits_total)


def _dates(attributes: Attributes, now: int, offset: int | None) -> dict[str, int | None]:
    """Return the dates of a successor.

    With an offset all move by as much as the activation does. Without one they stay as they are,
    except those that have passed: they would retire the successor at its birth.
    """
    activation = now + (offset or 0)
    dates: dict[str, int | None] = {"activation_date": activation}
    shift = activation - (attributes.activation_date or activation) if offset is not None else 0
    for field in _SHIFTED:
        date: int | None = getattr(attributes, field)
        if date is not None:
            date = date + shift if date + shift > activation else None
        dates[field] = date
    if attributes.revocation_reason is not None:  # it ended by being revoked, not as planned
        dates["deactivation_date"] = None
    return dates


def successor(
    call: Call,
    record: Record,
    unique_identifier: str,
    attributes: Attributes,
    managed_object: ManagedObject,
) -> Record:
    """Return the record of the object that replaces `record`; its owner stays the owner."""
    made = making.new_record(call, unique_identifier, attributes, managed_object)
    before = record.attributes
    linked = with_first_link(
        made.attributes, LinkType.REPLACED_OBJECT_LINK, record.unique_identifier
    )
    complete = msgspec.structs.replace(
        linked,
        rotate_name=before.rotate_name,
        rotate_generation=(before.rotate_generation or 0) + 1,
        rotate_latest=True,
        rotate_date=call.now,
        rotate_interval=None if before.rotate_interval is None else 0,
        rotate_automatic=None if before.rotate_automatic is None else False,
    )
    return msgspec.structs.replace(made, owner=record.owner, attributes=complete)


def retired(call: Call, record: Record, new: Record, **changes: Any) -> Record:
    """Return `record` as it is once `new` replaces it."""
    before = with_first_link(
        record.attributes, LinkType.REPLACEMENT_OBJECT_LINK, new.unique_identifier
    )
    attributes = msgspec.structs.replace(
        before,
        name=(),
        deactivation_date=_end(call, before, new),
        rotate_automatic=None if before.rotate_automatic is None else False,
        last_change_date=call.now,
        **changes,
    )
    state = effective_state(attributes, call.now)
    return msgspec.structs.replace(
        record, attributes=msgspec.structs.replace(attributes, state=state)
    )


def _end(call: Call, before: Attributes, new: Record) -> int | None:
    """Return the end of an active object: when its successor begins, or earlier as planned."""
    if effective_state(before, call.now) is not State.ACTIVE:
        return before.deactivation_date
    begins = new.attributes.activation_date or call.now
    return min(begins, before.deactivation_date or begins)


def no_longer_latest(record: Record) -> dict[str, Any]:
    """Return the rotation attributes of a key that is not the newest of its set any more."""
    return {
        "rotate_latest": False,
        "rotate_generation": record.attributes.rotate_generation or 0,
    }


async def hand_on_grants(call: Call, pairs: Iterable[tuple[Record, Record]]) -> None:
    """Let whoever may use an object use its successor in the same way."""
    for old, new in pairs:
        for grantee, operations in old.grants.items():
            if operations:
                await call.store.grant(new.unique_identifier, grantee, operations)
