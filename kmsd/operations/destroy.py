"""Destroy (KMIP 2.1 §6.1.15)."""

from typing import Annotated

import msgspec

from kmsd.kmip.enums import ObjectType, ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import Certificate
from kmsd.kmip.states import GONE, TRANSITIONS, Event, effective_state
from kmsd.operations import covercrypt, pairs
from kmsd.operations.call import Call
from kmsd.store.interfaces import Change, Record, Remove, Replace
from kmsd.ttlv.schema import Structure, Tagged

PERMIT = frozenset({"destroy"})
_REVOKED = frozenset({State.DEACTIVATED, State.COMPROMISED})


class Destroy(Structure):
    """Request payload.

    The product's own: `remove` deletes the attributes too, `cascade` defaults to true,
    `expected_object_type` guards against a slip.
    """

    unique_identifier: str | None = None
    remove: Annotated[bool | None, Tagged("Remove")] = None
    cascade: Annotated[bool | None, Tagged("Cascade")] = None
    expected_object_type: Annotated[ObjectType | None, Tagged("ExpectedObjectType")] = None


class DestroyResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def destroy(call: Call, request: Destroy) -> DestroyResponse:
    """Erase the key material of objects and keep their attributes; with a key goes its pair.

    Raises:
        KmipError: one is active, or a 4.x client's object is destroyed already.
    """
    named = call.identified(request.unique_identifier)
    records = list(call.targets)
    _check_type(records, request.expected_object_type)
    if request.cascade is not False:
        records = await pairs.with_other_halves(call, call.targets, PERMIT)
        records += await covercrypt.user_keys(call, records, _REVOKED)
    gone = [record for record in records if record.attributes.state in GONE]
    rest = [record for record in records if record not in gone]
    for record in rest:
        _check_inactive(call, record)
    if request.remove:
        changes: list[Change] = [Remove(each.unique_identifier, each.version) for each in records]
    else:
        changes = [Replace(_destroyed(call, record)) for record in rest]
    if not changes and call.generation is Generation.V4:
        raise KmipError(
            ResultReason.ITEM_NOT_FOUND, f"{named} has been destroyed before: nothing was found"
        )
    await call.store.write(*changes)
    return DestroyResponse(unique_identifier=named)


def _check_type(records: list[Record], expected: ObjectType | None) -> None:
    for record in records:
        if expected not in {None, record.attributes.object_type}:
            raise KmipError(
                ResultReason.INVALID_OBJECT_TYPE,
                f"{record.unique_identifier} is not of the expected type: nothing was destroyed",
            )


def _check_inactive(call: Call, record: Record) -> None:
    """Let go what is not active; certificates that became so by being issued need no revocation.

    Raises:
        KmipError: it must be revoked first.
    """
    attributes = record.attributes
    issued = attributes.object_type is ObjectType.CERTIFICATE and not attributes.activation_date
    if call.generation is not Generation.V4 and issued:
        return
    if effective_state(attributes, call.now) is State.ACTIVE:
        uid = record.unique_identifier
        raise KmipError(
            ResultReason.WRONG_KEY_LIFECYCLE_STATE,
            f"DENIED: Object with unique identifier: {uid} is active. It must be revoked first",
        )


def _destroyed(call: Call, record: Record) -> Record:
    """Return the record without its key; a certificate, which is public, keeps its value."""
    state = effective_state(record.attributes, call.now)
    attributes = msgspec.structs.replace(
        record.attributes,
        state=TRANSITIONS.get((state, Event.DESTROY), State.DESTROYED),
        destroy_date=call.now,
        last_change_date=call.now,
    )
    kept = record.managed_object if isinstance(record.managed_object, Certificate) else None
    return msgspec.structs.replace(record, attributes=attributes, managed_object=kept)
