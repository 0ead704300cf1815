"""Derive Key (KMIP 2.1 §6.1.14)."""

import uuid
from typing import Annotated

import msgspec

from kmsd.crypto import ec, generate, kdf
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.enums import (
    DerivationMethod,
    KeyFormatType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    SecretDataType,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    SecretData,
    SymmetricKey,
    TransparentSymmetricKey,
)
from kmsd.kmip.states import PROTECTING
from kmsd.kmip.structures import CryptographicParameters, Link, ProtectionStorageMasks
from kmsd.operations import archive, making, usable
from kmsd.operations.call import Call
from kmsd.operations.secret import secret
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Insert, Record, Replace
from kmsd.ttlv.schema import SECRET, Structure, Tagged


def _target(usage: Mask, *types: ObjectType) -> Target:
    return Target(
        permit=frozenset({"derivekey", "get"}),
        states=PROTECTING,
        types=frozenset(types),
        usage=usage,
    )


_AGREES = Mask.DERIVE_KEY | Mask.KEY_AGREEMENT
_OF_SECRETS = (
    _target(Mask.DERIVE_KEY, ObjectType.SYMMETRIC_KEY, ObjectType.SECRET_DATA),
    _target(Mask.DERIVE_KEY, ObjectType.SECRET_DATA),
)
"""The base key, and the secret data that may stand for the Derivation Data."""
_OF_A_PAIR = (
    _target(_AGREES, ObjectType.PRIVATE_KEY),
    _target(_AGREES, ObjectType.PUBLIC_KEY, ObjectType.CERTIFICATE),
)
"""One's own private key, and the other's public key."""
_MOST_LINKS = 1_000
"""Links to derived keys that a base key carries; each makes every later write of it longer."""


class DerivationParameters(Structure):
    """Source: KMIP 2.1 §7.12."""

    cryptographic_parameters: CryptographicParameters | None = None
    initialization_vector: bytes | None = None
    derivation_data: Annotated[tuple[bytes, ...], SECRET] = ()
    salt: bytes | None = None
    iteration_count: int | None = None


class DeriveKey(Structure):
    """Request payload; the product's clients name the base key in ObjectUniqueIdentifier."""

    object_type: ObjectType
    unique_identifier: tuple[str, ...] = ()
    derivation_method: DerivationMethod
    derivation_parameters: DerivationParameters
    attributes: Attributes
    protection_storage_masks: ProtectionStorageMasks | None = None
    object_unique_identifier: Annotated[str | None, Tagged("ObjectUniqueIdentifier")] = None


class DeriveKeyResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def derive_key(call: Call, request: DeriveKey) -> DeriveKeyResponse:
    """Derive a symmetric key or secret data from a key, store it and link it with its base.

    Raises:
        KmipError: the caller may not create or may not derive from the base, an attribute or
            parameter is missing or wrong, or the method does not give so many bytes.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes)
    asked = attributes.unique_identifier or f"derived-{uuid.uuid4()}"
    uid = making.new_identifier(asked)
    size = _size(request.object_type, attributes)
    base, other = await _bases(call, request)
    derived = await _derived(call, request, size, base, other)
    link = Link(
        link_type=LinkType.DERIVATION_BASE_OBJECT_LINK,
        linked_object_identifier=base.unique_identifier,
    )
    attributes = msgspec.structs.replace(attributes, link=(*attributes.link, link))
    made = _made(request.object_type, attributes, derived)
    record = making.new_record(call, uid, attributes, made)
    await call.store.write(Insert(record), *_linked(call, base, uid))
    return DeriveKeyResponse(unique_identifier=uid)


def _size(kind: ObjectType, attributes: Attributes) -> int:
    """Return the length of the new object in bytes. Raises: KmipError."""
    bits, algorithm = attributes.cryptographic_length, attributes.cryptographic_algorithm
    if kind not in {ObjectType.SYMMETRIC_KEY, ObjectType.SECRET_DATA}:
        raise KmipError(ResultReason.INVALID_OBJECT_TYPE, f"DeriveKey makes no {kind.wire_name}")
    if bits is None or bits <= 0 or bits % 8:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE,
            "DeriveKey: a CryptographicLength in whole bytes must be specified",
        )
    if kind is ObjectType.SYMMETRIC_KEY:
        if algorithm is None:
            raise KmipError(
                ResultReason.INVALID_MESSAGE, "the cryptographic algorithm must be specified"
            )
        return len(generate.generate_symmetric(algorithm, bits))  # 3DES: with its parity bits
    return bits // 8


async def _bases(call: Call, request: DeriveKey) -> tuple[Record, Record | None]:
    """Find the base key, and the second object that some methods take."""
    named = [*request.unique_identifier]
    if request.object_unique_identifier is not None:
        named.append(request.object_unique_identifier)
    pair = request.derivation_method is DerivationMethod.ASYMMETRIC_KEY
    targets = _OF_A_PAIR if pair else _OF_SECRETS
    if not 1 <= len(named) <= len(targets):
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            "DeriveKey: name the UniqueIdentifier of one key, or of a key and its counterpart",
        )
    found = [
        record
        for uid, target in zip(named, targets, strict=False)
        for record in await find(call, Operation.DERIVE_KEY, target, uid)
    ]
    for record in found:
        archive.check_on_line(record)
    return found[0], found[1] if len(found) > 1 else None


async def _derived(
    call: Call, request: DeriveKey, size: int, base: Record, other: Record | None
) -> bytes:
    method, given = request.derivation_method, request.derivation_parameters
    if method is DerivationMethod.ASYMMETRIC_KEY:
        return await _agreed(call, size, base, other)
    key = await secret(call, base)
    data = given.derivation_data
    if other is not None:
        if data:
            raise KmipError(
                ResultReason.INVALID_MESSAGE,
                "DeriveKey: DerivationData and a Secret Data object exclude one another",
            )
        data = (await secret(call, other),)
    if method is DerivationMethod.AWS_SIGNATURE_VERSION_4:
        return _shortened(kdf.aws_signature_v4(key, data), size)
    return await call.offload(
        kdf.derive,
        method,
        kdf.Derivation(
            key=key,
            length=size,
            data=b"".join(data),
            salt=given.salt,
            iterations=given.iteration_count,
            iv=given.initialization_vector,
            parameters=given.cryptographic_parameters or CryptographicParameters(),
        ),
    )


async def _agreed(call: Call, size: int, base: Record, other: Record | None) -> bytes:
    """Agree on a secret by a private and another's public key (ECDH, X25519, X448)."""
    if other is None:
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            "DeriveKey: AsymmetricKey takes two objects: a private key, then a public key",
        )
    private = await usable.private_key(call, base)
    return _shortened(ec.agree(private, await usable.public_key(call, other)), size)


def _shortened(derived: bytes, size: int) -> bytes:
    if len(derived) < size:
        raise KmipError(
            ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS,
            f"the derivation method gives no more than {len(derived)} bytes",
        )
    return derived[:size]


def _made(kind: ObjectType, attributes: Attributes, derived: bytes) -> ManagedObject:
    bits = len(derived) * 8
    if kind is ObjectType.SECRET_DATA:
        value = KeyValue(key_material=derived)
        block = KeyBlock(
            key_format_type=KeyFormatType.RAW, key_value=value, cryptographic_length=bits
        )
        return SecretData(secret_data_type=SecretDataType.SEED, key_block=block)
    return SymmetricKey(
        key_block=KeyBlock(
            key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
            key_value=KeyValue(key_material=TransparentSymmetricKey(key=derived)),
            cryptographic_algorithm=attributes.cryptographic_algorithm,
            cryptographic_length=bits,
        )
    )


def _linked(call: Call, base: Record, derived: str) -> list[Replace]:
    """Return the change that links the base key to what was derived from it."""
    links = base.attributes.link
    if sum(link.link_type is LinkType.DERIVED_KEY_LINK for link in links) >= _MOST_LINKS:
        return []
    link = Link(link_type=LinkType.DERIVED_KEY_LINK, linked_object_identifier=derived)
    attributes = msgspec.structs.replace(
        base.attributes, link=(*links, link), last_change_date=call.now
    )
    return [Replace(msgspec.structs.replace(base, attributes=attributes))]
