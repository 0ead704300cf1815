"""Join Split Key (KMIP 2.1 §6.1.27)."""

import msgspec

from kmsd.crypto import formats, split
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import KeyFormatType, ObjectType, Operation, ResultReason, SecretDataType
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    SecretData,
    SplitKey,
    SymmetricKey,
    TransparentSymmetricKey,
    key_material,
)
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import archive, making, wrapping
from kmsd.operations.call import Call
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Insert, Record
from kmsd.ttlv.schema import Structure

_PART = Target(permit=frozenset({"joinsplitkey", "get"}), types=frozenset({ObjectType.SPLIT_KEY}))


class JoinSplitKey(Structure):
    """Request payload."""

    object_type: ObjectType
    unique_identifier: tuple[str, ...]
    secret_data_type: SecretDataType | None = None
    attributes: Attributes | None = None
    protection_storage_masks: ProtectionStorageMasks | None = None


class JoinSplitKeyResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def join_split_key(call: Call, request: JoinSplitKey) -> JoinSplitKeyResponse:
    """Put the parts of a split key together and store what they make.

    What is joined is as sensitive and as little extractable as the strictest of its parts.

    Raises:
        KmipError: the caller may not create or may not take a part, there are too few, or they do
            not belong together.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes or Attributes())
    uid = making.new_identifier(attributes.unique_identifier)
    records = await _found(call, request.unique_identifier)
    parts = _parts([await wrapping.clear(call, record) for record in records])
    joined = await call.offload(_joined, parts)
    managed_object = _made(request, parts[0].key_block, joined)
    if isinstance(managed_object, PrivateKey):  # no rubbish is stored as one
        await call.offload(formats.load_private, managed_object.key_block)
    attributes = _inherited(attributes, records)
    await call.store.write(Insert(making.new_record(call, uid, attributes, managed_object)))
    return JoinSplitKeyResponse(unique_identifier=uid)


async def _found(call: Call, named: tuple[str, ...]) -> list[Record]:
    if not 1 <= len(named) <= split.MOST_PARTS:
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            f"JoinSplitKey: name the UniqueIdentifier of 1 to {split.MOST_PARTS} parts",
        )
    records = []
    for uid in named:
        (record,) = await find(call, Operation.JOIN_SPLIT_KEY, _PART, uid)
        archive.check_on_line(record)
        records.append(record)
    return records


def _parts(objects: list[ManagedObject]) -> list[SplitKey]:
    """Return what the row's types have made sure of."""
    return [part for part in objects if isinstance(part, SplitKey)]


def _joined(parts: list[SplitKey]) -> bytes:
    """Return the key; slow for long ones."""
    first = parts[0]
    materials: dict[int, bytes] = {}
    for part in parts:
        material = key_material(part.key_block)
        if _of_split(part) != _of_split(first) or not isinstance(material, bytes):
            raise _not_of_one_key()
        if materials.setdefault(part.key_part_identifier, material) != material:
            raise _not_of_one_key()
    bits = first.key_block.cryptographic_length or 0
    return split.join(
        first.split_key_method,
        materials,
        first.split_key_threshold,
        prime=first.prime_field_size,
        length=bits // 8 if first.key_block.key_format_type is KeyFormatType.RAW else None,
    )


def _of_split(part: SplitKey) -> tuple[object, ...]:
    """Return what all parts of one key have in common."""
    block = part.key_block
    return (
        part.split_key_parts,
        part.split_key_threshold,
        part.split_key_method,
        part.prime_field_size,
        block.key_format_type,
        block.cryptographic_algorithm,
        block.cryptographic_length,
    )


def _not_of_one_key() -> KmipError:
    return KmipError(
        ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS, "these are not the parts of one key"
    )


def _made(request: JoinSplitKey, block: KeyBlock, joined: bytes) -> ManagedObject:
    """Return the object asked for."""
    kind, bits = request.object_type, len(joined) * 8
    raw = KeyBlock(
        key_format_type=KeyFormatType.RAW,
        key_value=KeyValue(key_material=joined),
        cryptographic_algorithm=block.cryptographic_algorithm,
        cryptographic_length=bits,
    )
    if kind is ObjectType.SYMMETRIC_KEY and block.cryptographic_algorithm is not None:
        value = KeyValue(key_material=TransparentSymmetricKey(key=joined))
        transparent = KeyFormatType.TRANSPARENT_SYMMETRIC_KEY
        return SymmetricKey(
            key_block=msgspec.structs.replace(raw, key_format_type=transparent, key_value=value)
        )
    if kind is ObjectType.SECRET_DATA:
        return SecretData(
            secret_data_type=request.secret_data_type or SecretDataType.SEED, key_block=raw
        )
    if kind is ObjectType.PRIVATE_KEY:
        return PrivateKey(key_block=msgspec.structs.replace(block, key_value=raw.key_value))
    raise KmipError(
        ResultReason.INVALID_OBJECT_TYPE,
        f"JoinSplitKey makes no {kind.wire_name} of these parts",
    )


def _inherited(attributes: Attributes, parts: list[Record]) -> Attributes:
    """Let what is joined be as protected as its parts."""
    of_parts = [part.attributes for part in parts]
    mask = attributes.cryptographic_usage_mask
    return msgspec.structs.replace(
        attributes,
        sensitive=any(part.sensitive for part in of_parts) or attributes.sensitive,
        extractable=all(part.extractable is not False for part in of_parts)
        and attributes.extractable is not False,
        cryptographic_usage_mask=of_parts[0].cryptographic_usage_mask if mask is None else mask,
    )
