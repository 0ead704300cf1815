"""Import (KMIP 2.1 §6.1.25)."""

from typing import Annotated

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import KeyWrapType, ObjectType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import ManagedObject
from kmsd.kmip.states import GONE
from kmsd.operations import containers, importing, making, wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Change, Insert, Record, Replace
from kmsd.ttlv.schema import BY_TAG, Structure


class Import(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    object_type: ObjectType | None = None
    replace_existing: bool | None = None
    key_wrap_type: KeyWrapType | None = None
    attributes: Attributes = Attributes()
    managed_object: Annotated[ManagedObject | None, BY_TAG] = None


class ImportResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def import_(call: Call, request: Import) -> ImportResponse:
    """Store an object under the identifier of the client's choice, or a new one for an empty text.

    A PKCS#12 is taken apart: the identifier is the certificate's, the private key has a new one,
    which is returned.

    Raises:
        KmipError: the caller may not create, the object is malformed, or the identifier is taken
            and Replace Existing is not set, or is another owner's.
    """
    await making.may_create(call)
    uid = making.new_identifier(request.unique_identifier)
    kind = request.object_type or request.attributes.object_type
    if kind is None:
        raise KmipError(ResultReason.INVALID_MESSAGE, "missing field ObjectType in Import")
    managed_object = request.managed_object
    if request.key_wrap_type is KeyWrapType.NOT_WRAPPED and wrapping.is_wrapped(managed_object):
        assert managed_object is not None  # noqa: S101 (is_wrapped says so)
        managed_object = await wrapping.unwrap(call, managed_object, request.attributes)
    attributes = _settable(request.attributes)
    if containers.is_pkcs12(managed_object):
        assert managed_object is not None  # noqa: S101 (is_pkcs12 says so)
        records = await containers.opened(call, None, uid, attributes, managed_object)
    else:
        records = [await importing.received_record(call, uid, kind, attributes, managed_object)]
    records[0] = await wrapping.protected(call, records[0])
    replace = bool(request.replace_existing)
    await call.store.write(*[await _change(call, each, replace=replace) for each in records])
    return ImportResponse(unique_identifier=records[0].unique_identifier)


def _settable(attributes: Attributes) -> Attributes:
    """Drop what the exporting server knew and this one finds out for itself, system tags too."""
    return msgspec.structs.replace(
        making.without_system_tags(attributes),
        state=None,
        digest=(),
        initial_date=None,
        last_change_date=None,
        always_sensitive=None,
        never_extractable=None,
        key_value_present=None,
        certificate_length=None,
        fresh=None,
        lease_time=None,
    )


async def _change(call: Call, record: Record, *, replace: bool) -> Change:
    """Insert the object, or replace the one that is there if that is asked for or it is gone."""
    existing = await call.store.get(record.unique_identifier)
    if existing is None:
        return Insert(record)
    gone = existing.attributes.state in GONE
    if not replace and not gone:
        raise KmipError(
            ResultReason.OBJECT_ALREADY_EXISTS,
            f"{record.unique_identifier} already exists: set ReplaceExisting, or choose another"
            " identifier",
        )
    if existing.owner != call.caller.name:
        raise KmipError(
            ResultReason.PERMISSION_DENIED,
            f"{record.unique_identifier} already exists and is not yours to replace",
        )
    return Replace(msgspec.structs.replace(record, version=existing.version))
