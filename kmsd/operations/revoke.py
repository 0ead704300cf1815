"""Revoke (KMIP 2.1 §6.1.44)."""

from typing import Annotated

import msgspec

from kmsd.kmip.enums import ResultReason, RevocationReasonCode, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.states import GONE, TRANSITIONS, Event, effective_state
from kmsd.kmip.structures import RevocationReason
from kmsd.operations import covercrypt, pairs
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record, Replace
from kmsd.ttlv.schema import DateTime, Structure, Tagged

PERMIT = frozenset({"revoke"})
_COMPROMISES = frozenset({RevocationReasonCode.KEY_COMPROMISE, RevocationReasonCode.CA_COMPROMISE})


class Revoke(Structure):
    """Request payload; `cascade` (the product's) is true unless it says otherwise."""

    unique_identifier: str | None = None
    revocation_reason: RevocationReason
    compromise_occurrence_date: DateTime | None = None
    cascade: Annotated[bool | None, Tagged("Cascade")] = None


class RevokeResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def revoke(call: Call, request: Revoke) -> RevokeResponse:
    """Deactivate objects, or mark them compromised; with a key goes the other half of its pair.

    An object that is revoked already stays as it is: to revoke it again succeeds, except for a 4.x
    client, which is told that there is nothing to revoke.

    Raises:
        KmipError: a 4.x client's object is not there to be revoked.
    """
    named = call.identified(request.unique_identifier)
    records = list(call.targets)
    if request.cascade is not False:
        records = await pairs.with_other_halves(call, call.targets, PERMIT)
        records += await covercrypt.user_keys(call, records)
    changed = [new for record in records if (new := _revoked(call, request, record)) is not record]
    if call.generation is Generation.V4 and not changed:
        raise KmipError(ResultReason.ITEM_NOT_FOUND, named)
    await call.store.write(*map(Replace, changed))
    return RevokeResponse(unique_identifier=named)


def _revoked(call: Call, request: Revoke, record: Record) -> Record:
    """Return the record as it is after the revocation: itself when nothing changes."""
    state = effective_state(record.attributes, call.now)
    code = request.revocation_reason.revocation_reason_code
    compromised = code in _COMPROMISES
    new_state = TRANSITIONS.get((state, Event.COMPROMISE if compromised else Event.DEACTIVATE))
    if state is State.PRE_ACTIVE and not compromised:
        new_state = State.DEACTIVATED  # the product's: KMIP has no such transition
    if new_state is None or (state in GONE and not compromised):
        return record
    attributes = msgspec.structs.replace(
        record.attributes,
        state=new_state,
        revocation_reason=request.revocation_reason,
        last_change_date=call.now,
    )
    if compromised:
        attributes = msgspec.structs.replace(
            attributes,
            compromise_date=call.now,
            compromise_occurrence_date=request.compromise_occurrence_date or call.now,
        )
    else:
        attributes = msgspec.structs.replace(attributes, deactivation_date=call.now)
    return msgspec.structs.replace(record, attributes=attributes)
