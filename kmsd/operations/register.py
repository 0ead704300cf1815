"""Register (KMIP 2.1 §6.1.43)."""

from typing import Annotated

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ObjectType
from kmsd.kmip.objects import ManagedObject
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import containers, importing, making, wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Insert
from kmsd.ttlv.schema import BY_TAG, Structure


class Register(Structure):
    """Request payload."""

    object_type: ObjectType
    attributes: Attributes
    managed_object: Annotated[ManagedObject | None, BY_TAG] = None
    protection_storage_masks: ProtectionStorageMasks | None = None


class RegisterResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def register(call: Call, request: Register) -> RegisterResponse:
    """Store an object that the client made.

    Raises:
        KmipError: the caller may not create, the object is malformed or missing, or the identifier
            asked for is taken.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes)
    uid = making.new_identifier(attributes.unique_identifier)
    managed_object = request.managed_object
    if managed_object is not None and containers.is_pkcs12(managed_object):
        leaf_uid = making.new_identifier(None)
        records = await containers.opened(call, uid, leaf_uid, attributes, managed_object)
    else:
        kind = request.object_type
        records = [await importing.received_record(call, uid, kind, attributes, managed_object)]
    records[0] = await wrapping.protected(call, records[0])
    await call.store.write(*map(Insert, records))
    return RegisterResponse(unique_identifier=uid)
