"""Recover (KMIP 2.1 §6.1.42)."""

import msgspec

from kmsd.operations.call import Call
from kmsd.store.interfaces import Replace
from kmsd.ttlv.schema import Structure


class Recover(Structure):
    """Request payload."""

    unique_identifier: str | None = None


class RecoverResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def recover(call: Call, _request: Recover) -> RecoverResponse:
    """Take an object back out of the archive; one that is not there stays as it is."""
    record = call.target
    if record.attributes.archive_date is not None:
        attributes = msgspec.structs.replace(
            record.attributes, archive_date=None, last_change_date=call.now
        )
        await call.store.write(Replace(msgspec.structs.replace(record, attributes=attributes)))
    return RecoverResponse(unique_identifier=record.unique_identifier)
