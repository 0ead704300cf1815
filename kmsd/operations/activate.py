"""Activate (KMIP 2.1 §6.1.1)."""

import msgspec

from kmsd.kmip.enums import ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.states import TRANSITIONS, Event, effective_state
from kmsd.operations.call import Call
from kmsd.store.interfaces import Replace
from kmsd.ttlv.schema import Structure


class Activate(Structure):
    """Request payload."""

    unique_identifier: str | None = None


class ActivateResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def activate(call: Call, _request: Activate) -> ActivateResponse:
    """Make a Pre-Active object Active, as of now.

    Raises:
        KmipError: it is in another state.
    """
    record = call.target
    state = effective_state(record.attributes, call.now)
    new_state = TRANSITIONS.get((state, Event.ACTIVATE))
    if new_state is None:
        already = "already" if state is State.ACTIVE else "no longer Pre-Active:"
        raise KmipError(
            ResultReason.WRONG_KEY_LIFECYCLE_STATE,
            f"DENIED: cannot activate {record.unique_identifier}: it is {already} in state"
            f" '{state.wire_name}'",
        )
    attributes = msgspec.structs.replace(
        record.attributes, state=new_state, activation_date=call.now, last_change_date=call.now
    )
    await call.store.write(Replace(msgspec.structs.replace(record, attributes=attributes)))
    return ActivateResponse(unique_identifier=record.unique_identifier)
