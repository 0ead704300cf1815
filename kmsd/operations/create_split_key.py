"""Create Split Key (KMIP 2.1 §6.1.10)."""

from typing import NamedTuple, cast

import msgspec

from kmsd.crypto import formats, generate, split
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import KeyFormatType, ObjectType, ResultReason, SplitKeyMethod
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import KeyBlock, KeyValue, SplitKey
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import making, usable
from kmsd.operations.call import Call
from kmsd.operations.secret import secret
from kmsd.store.interfaces import Insert
from kmsd.ttlv.schema import BigInteger, Structure


class CreateSplitKey(Structure):
    """Request payload."""

    object_type: ObjectType
    unique_identifier: str | None = None
    split_key_parts: int
    split_key_threshold: int
    split_key_method: SplitKeyMethod
    prime_field_size: BigInteger | None = None
    attributes: Attributes
    protection_storage_masks: ProtectionStorageMasks | None = None


class CreateSplitKeyResponse(Structure):
    """Response payload: the parts in the order of their Key Part Identifier, which begins at 1."""

    unique_identifier: tuple[str, ...]


class _Secret(NamedTuple):
    """What is split, and how its parts are described."""

    data: bytes
    key_format_type: KeyFormatType
    attributes: Attributes

    def __repr__(self) -> str:
        return f"<{len(self.data)} secret bytes>"


async def create_split_key(call: Call, request: CreateSplitKey) -> CreateSplitKeyResponse:
    """Split a new key, or one that exists, and store each part as an object of its own.

    The parts of a key that exists are as sensitive and as little extractable as the key.

    Raises:
        KmipError: the caller may not create or may not take the key, or it cannot be split so.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes)
    if request.object_type is not ObjectType.SPLIT_KEY:
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE,
            f"CreateSplitKey makes objects of type SplitKey, not {request.object_type.wire_name}",
        )
    whole = await _of_key(call, attributes) if call.targets else _new(call, attributes)
    parts = await call.offload(_split, request, whole.data)
    records = [
        making.new_record(
            call,
            making.new_identifier(None),
            whole.attributes,
            _part(request, whole, number, material, parts.prime_field_size),
        )
        for number, material in sorted(parts.parts.items())
    ]
    await call.store.write(*map(Insert, records))
    identifiers = tuple(record.unique_identifier for record in records)
    call.batch.placeholder = identifiers[0]
    return CreateSplitKeyResponse(unique_identifier=identifiers)


def _split(request: CreateSplitKey, whole: bytes) -> split.Parts:
    return split.split(
        request.split_key_method,
        whole,
        request.split_key_parts,
        request.split_key_threshold,
        prime=request.prime_field_size,
    )


def _new(call: Call, attributes: Attributes) -> _Secret:
    """Make a new key to split."""
    algorithm = attributes.cryptographic_algorithm
    if algorithm is None:
        raise KmipError(
            ResultReason.INVALID_MESSAGE, "the cryptographic algorithm must be specified"
        )
    key = generate.generate_symmetric(
        algorithm, attributes.cryptographic_length, random=call.services.random
    )
    described = msgspec.structs.replace(
        attributes, unique_identifier=None, cryptographic_length=len(key) * 8
    )
    return _Secret(key, KeyFormatType.RAW, described)


async def _of_key(call: Call, attributes: Attributes) -> _Secret:
    """Return the target's key; where its attributes differ from those asked for, they win."""
    own = call.target.attributes
    if own.object_type is ObjectType.PRIVATE_KEY:
        key_format, key = KeyFormatType.PKCS8, await _pkcs8(call)
    else:
        key_format, key = KeyFormatType.RAW, await secret(call, call.target)
    described = msgspec.structs.replace(
        attributes,
        unique_identifier=None,
        cryptographic_algorithm=own.cryptographic_algorithm,
        cryptographic_length=own.cryptographic_length or len(key) * 8,
        cryptographic_usage_mask=own.cryptographic_usage_mask,
        sensitive=own.sensitive or attributes.sensitive,
        extractable=own.extractable is not False and attributes.extractable is not False,
    )
    return _Secret(key, key_format, described)


async def _pkcs8(call: Call) -> bytes:
    key = await usable.private_key(call, call.target)
    return cast("bytes", formats.export(key, KeyFormatType.PKCS8))


def _part(
    request: CreateSplitKey, whole: _Secret, number: int, material: bytes, prime: int | None
) -> SplitKey:
    return SplitKey(
        split_key_parts=request.split_key_parts,
        key_part_identifier=number,
        split_key_threshold=request.split_key_threshold,
        split_key_method=request.split_key_method,
        prime_field_size=prime,
        key_block=KeyBlock(
            key_format_type=whole.key_format_type,
            key_value=KeyValue(key_material=material),
            cryptographic_algorithm=whole.attributes.cryptographic_algorithm,
            cryptographic_length=whole.attributes.cryptographic_length,
        ),
    )
