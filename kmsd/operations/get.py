"""Get (KMIP 2.1 §6.1.19)."""

from typing import Annotated

import msgspec
from twisted.logger import Logger

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    KeyCompressionType,
    KeyFormatType,
    KeyWrapType,
    ObjectType,
    ResultReason,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import TYPES, KeyValue, ManagedObject, key_block
from kmsd.kmip.structures import KeyWrappingSpecification
from kmsd.operations import containers, conversion, wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record, Replace, StoreError
from kmsd.ttlv.schema import BY_TAG, Structure

_log = Logger()


class Get(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    key_format_type: KeyFormatType | None = None
    key_wrap_type: KeyWrapType | None = None
    key_compression_type: KeyCompressionType | None = None
    key_wrapping_specification: KeyWrappingSpecification | None = None


class GetResponse(Structure):
    """Response payload."""

    object_type: ObjectType
    unique_identifier: str
    managed_object: Annotated[ManagedObject, BY_TAG]


async def get(call: Call, request: Get) -> GetResponse:
    """Return an object, in the format and wrapping asked for.

    Raises:
        KmipError: it is sensitive or not extractable, or cannot be had in that format.
    """
    record = call.target
    managed_object = await retrieved(call, request, record)
    await _served(call, record)
    return GetResponse(
        object_type=TYPES[type(managed_object)],
        unique_identifier=record.unique_identifier,
        managed_object=_with_attributes(call, record, managed_object),
    )


async def retrieved(call: Call, request: Get, record: Record) -> ManagedObject:
    """Return a record's object as a Get or Export asks for it."""
    specification = request.key_wrapping_specification
    _check_secrecy(record, wrapped=specification is not None)
    managed_object = record.managed_object
    if managed_object is None:
        raise KmipError(
            ResultReason.OBJECT_DESTROYED,
            f"DENIED: the key material of {record.unique_identifier} has been destroyed",
        )
    if request.key_format_type in containers.FORMATS:
        return await containers.exported(call, record, request.key_format_type, specification)
    unwrap = request.key_wrap_type is KeyWrapType.NOT_WRAPPED or specification is not None
    if wrapping.is_wrapped(managed_object) and unwrap:
        managed_object = await wrapping.clear(call, record)
    if not wrapping.is_wrapped(managed_object):
        wanted = request.key_format_type
        if wanted is None and call.generation is Generation.KMIP:
            wanted = record.attributes.key_format_type
        managed_object = conversion.converted(managed_object, wanted, request.key_compression_type)
    elif request.key_format_type not in {None, _format(managed_object)}:
        raise KmipError(
            ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
            "a wrapped key cannot change its format: ask for it with KeyWrapType NotWrapped",
        )
    if specification is None:
        return managed_object
    return await wrapping.wrap(call, managed_object, specification)


async def _served(call: Call, record: Record) -> None:
    """Note that the object is no longer fresh (KMIP 2.1 §4.24); nobody waits for that in vain.

    What else changes the object meanwhile wins, and so does the answer over a failing store.
    """
    if not record.attributes.fresh:
        return
    attributes = msgspec.structs.replace(record.attributes, fresh=False)
    try:
        await call.store.write(Replace(msgspec.structs.replace(record, attributes=attributes)))
    except StoreError as error:
        _log.info("{uid} stays fresh: {error}", uid=record.unique_identifier, error=str(error))


def _check_secrecy(record: Record, *, wrapped: bool) -> None:
    attributes = record.attributes
    if attributes.extractable is False:
        raise KmipError(
            ResultReason.NOT_EXTRACTABLE, f"{record.unique_identifier} is not extractable"
        )
    if attributes.sensitive and not wrapped:
        raise KmipError(
            ResultReason.SENSITIVE,
            f"{record.unique_identifier} is sensitive: it leaves the server only wrapped, with a"
            " KeyWrappingSpecification",
        )


def _format(managed_object: ManagedObject) -> KeyFormatType | None:
    block = key_block(managed_object)
    return block.key_format_type if block else None


def _with_attributes(call: Call, record: Record, managed_object: ManagedObject) -> ManagedObject:
    """Add the attributes to the Key Value, as the product's JSON clients expect them there."""
    block = key_block(managed_object)
    is_4 = call.generation is Generation.V4
    if not is_4 or block is None or not isinstance(block.key_value, KeyValue):
        return managed_object
    attributes: Attributes = msgspec.structs.replace(
        record.attributes, key_format_type=block.key_format_type
    )
    value = KeyValue(key_material=block.key_value.key_material, attributes=attributes)
    block = msgspec.structs.replace(block, key_value=value)
    return msgspec.structs.replace(managed_object, key_block=block)
