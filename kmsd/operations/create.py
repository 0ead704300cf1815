"""Create (KMIP 2.1 §6.1.8)."""

import msgspec

from kmsd.crypto import generate
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicUsageMask,
    KeyFormatType,
    ObjectType,
    ResultReason,
    SecretDataType,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    SecretData,
    SymmetricKey,
    TransparentSymmetricKey,
)
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import covercrypt, making, wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Insert, Record
from kmsd.ttlv.schema import Structure

_MASK_4 = CryptographicUsageMask(2108)
"""What a 4.x server lets every symmetric key it creates do: encrypt, wrap, agree."""
_SECRET_BITS = 256


class Create(Structure):
    """Request payload."""

    object_type: ObjectType
    attributes: Attributes
    protection_storage_masks: ProtectionStorageMasks | None = None


class CreateResponse(Structure):
    """Response payload."""

    object_type: ObjectType
    unique_identifier: str


async def create(call: Call, request: Create) -> CreateResponse:
    """Make a symmetric key or secret data of random bytes and store it.

    Raises:
        KmipError: the caller may not create, the kind of object cannot be created, an attribute
            is wrong, or the identifier asked for is taken.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes)
    uid = making.new_identifier(attributes.unique_identifier)
    if call.generation is Generation.V4 and attributes.cryptographic_usage_mask is None:
        attributes = msgspec.structs.replace(attributes, cryptographic_usage_mask=_MASK_4)
    record = await _record(call, uid, request.object_type, attributes)
    await call.store.write(Insert(await wrapping.protected(call, record)))
    return CreateResponse(object_type=request.object_type, unique_identifier=uid)


async def _record(call: Call, uid: str, kind: ObjectType, attributes: Attributes) -> Record:
    if kind is ObjectType.PRIVATE_KEY and covercrypt.is_requested(attributes):
        return await covercrypt.user_key(call, uid, attributes)
    return making.new_record(call, uid, attributes, _made(call, kind, attributes))


def _made(call: Call, kind: ObjectType, attributes: Attributes) -> ManagedObject:
    if kind is ObjectType.SYMMETRIC_KEY:
        return symmetric_key(call, attributes)
    if kind is ObjectType.SECRET_DATA:
        return _secret_data(call, attributes)
    raise KmipError(
        ResultReason.INVALID_OBJECT_TYPE,
        f"Create makes no {kind.wire_name}: use CreateKeyPair, Certify, Register or Import",
    )


def symmetric_key(call: Call, attributes: Attributes) -> SymmetricKey:
    """Make a symmetric key of random bytes, of the algorithm and length among the attributes.

    Raises:
        KmipError: there is no algorithm, or it has no keys of that length.
    """
    algorithm = attributes.cryptographic_algorithm
    if algorithm is None:
        raise KmipError(
            ResultReason.INVALID_MESSAGE, "the cryptographic algorithm must be specified"
        )
    key = generate.generate_symmetric(
        algorithm, attributes.cryptographic_length, random=call.services.random
    )
    return SymmetricKey(
        key_block=KeyBlock(
            key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
            key_value=KeyValue(key_material=TransparentSymmetricKey(key=key)),
            cryptographic_algorithm=algorithm,
            cryptographic_length=attributes.cryptographic_length
            or generate.default_length(algorithm),
        )
    )


def _secret_data(call: Call, attributes: Attributes) -> SecretData:
    bits = (
        _SECRET_BITS if attributes.cryptographic_length is None else attributes.cryptographic_length
    )
    if bits <= 0 or bits % 8 or bits > 1 << 16:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE,
            f"a length of {bits} bits: secret data has 8 to 65536 bits, in whole bytes",
        )
    return SecretData(
        secret_data_type=SecretDataType.SEED,
        key_block=KeyBlock(
            key_format_type=KeyFormatType.RAW,
            key_value=KeyValue(key_material=call.services.random(bits // 8)),
            cryptographic_length=bits,
        ),
    )
