"""Re-key (KMIP 2.1 §6.1.46)."""

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import Operation
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import create, dependants, making, rotation, wrapping
from kmsd.operations.call import Call
from kmsd.operations.wrapping import Replacement
from kmsd.store.interfaces import Insert, Record, Replace
from kmsd.ttlv.schema import Interval, Structure


class ReKey(Structure):
    """Request payload. `offset`: seconds until the new key becomes active."""

    unique_identifier: str | None = None
    offset: Interval | None = None
    attributes: Attributes | None = None
    protection_storage_masks: ProtectionStorageMasks | None = None


class ReKeyResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def rekey(call: Call, request: ReKey) -> ReKeyResponse:
    """Replace a symmetric key by a new one of its kind, and wrap anew what it wraps.

    A 4.x client's key gets a new value under its old identifier instead.

    Raises:
        KmipError: the caller may not create, or the key is not to be rotated: it was never active,
            is destroyed, or has been replaced in its key set.
    """
    await making.may_create(call)
    record = call.target
    rotation.check_rotatable(call, Operation.REKEY, record)
    if call.generation is Generation.V4:
        return await _renewed(call, record)
    new = await _successor(call, request, record)
    old = rotation.retired(call, record, new, **rotation.no_longer_latest(record))
    rewrapped = await _dependants(call, record, new)
    await call.store.write(Insert(new), Replace(old), *rewrapped)
    await rotation.hand_on_grants(call, [(record, new)])
    return ReKeyResponse(unique_identifier=new.unique_identifier)


async def _successor(call: Call, request: ReKey, record: Record) -> Record:
    attributes = making.requested(
        rotation.inherited(call, record, request.offset),
        making.checked(request.attributes or Attributes()),
    )
    uid = rotation.next_identifier(record) or making.new_identifier(attributes.unique_identifier)
    new = rotation.successor(call, record, uid, attributes, create.symmetric_key(call, attributes))
    return await _protected(call, record, new)


async def _protected(call: Call, record: Record, new: Record) -> Record:
    """Wrap the new key under the key that wraps the old one, if one does."""
    specification = wrapping.specification(record)
    return new if specification is None else await wrapping.wrapped_as(call, new, specification)


async def _renewed(call: Call, record: Record) -> ReKeyResponse:
    """Give a key a new value; all else, the owner too, stays as it is."""
    key = create.symmetric_key(call, record.attributes)
    new = msgspec.structs.replace(
        record,
        managed_object=key,
        attributes=msgspec.structs.replace(
            record.attributes, digest=making.digests(key), last_change_date=call.now
        ),
    )
    new = await _protected(call, record, new)
    rewrapped = await _dependants(call, record, new)
    await call.store.write(Replace(new), *rewrapped)
    return ReKeyResponse(unique_identifier=record.unique_identifier)


async def _dependants(call: Call, record: Record, new: Record) -> list[Replace]:
    replacement = Replacement(record, new, new.unique_identifier)
    return await dependants.rewrapped(call, {record.unique_identifier: replacement})
