"""What Register and Import share: a client's object checked, described and recorded."""

import msgspec

from kmsd.crypto import formats
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CertificateType, KeyFormatType, LinkType, ObjectType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    TYPES,
    Certificate,
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    PublicKey,
    SymmetricKey,
    TransparentSymmetricKey,
    key_block,
    key_material,
)
from kmsd.kmip.structures import CryptographicDomainParameters, KeyWrappingData
from kmsd.operations import certificate_attributes, covercrypt, making, small_dsa
from kmsd.operations.call import Call
from kmsd.operations.links import with_link
from kmsd.store.interfaces import Record

_OPAQUE = frozenset({KeyFormatType.COVERCRYPT_SECRET_KEY, KeyFormatType.COVERCRYPT_PUBLIC_KEY})


async def received_record(
    call: Call,
    unique_identifier: str,
    object_type: ObjectType,
    attributes: Attributes,
    managed_object: ManagedObject | None,
) -> Record:
    """Return the record of an object that a client sent.

    Keys in clear are parsed and checked off the reactor thread; wrapped ones are kept as they are.

    Raises:
        KmipError: there is no object, it is of another type than the request says, or its key is
            malformed.
    """
    if managed_object is None or TYPES[type(managed_object)] is not object_type:
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE,
            f"missing field: the request says {object_type.wire_name} but holds no such object",
        )
    managed_object, attributes = await _examined(call, managed_object, attributes)
    is_user_key = isinstance(managed_object, PrivateKey) and covercrypt.is_user_key(attributes)
    return making.new_record(
        call,
        unique_identifier,
        attributes,
        managed_object,
        system_tag=making.USER_KEY_TAG if is_user_key else None,
        received=True,
    )


async def _examined(
    call: Call, managed_object: ManagedObject, attributes: Attributes
) -> tuple[ManagedObject, Attributes]:
    """Check the object, and add to its attributes what it says of itself."""
    if isinstance(managed_object, Certificate):
        return managed_object, certified(managed_object, attributes)
    block = key_block(managed_object)
    if block is not None:
        attributes = msgspec.structs.replace(attributes, key_format_type=block.key_format_type)
    if block is not None and block.key_wrapping_data is not None:
        return managed_object, _wrapped(block.key_wrapping_data, attributes)
    if block is None or block.key_format_type in _OPAQUE:
        return managed_object, attributes
    if key_material(block) is None:
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE, "missing field: the object has no KeyMaterial"
        )
    if isinstance(managed_object, SymmetricKey):
        return _symmetric_key(block), attributes
    if isinstance(managed_object, PrivateKey | PublicKey):
        return await _asymmetric_key(call, managed_object, attributes)
    return managed_object, attributes


def _wrapped(data: KeyWrappingData, attributes: Attributes) -> Attributes:
    """Link a wrapped key to the key that wraps it, so that it is wrapped anew with that."""
    information = data.encryption_key_information
    if information is None:
        return attributes
    return with_link(attributes, LinkType.WRAPPING_KEY_LINK, information.unique_identifier)


def _symmetric_key(block: KeyBlock) -> SymmetricKey:
    """Keep the key as Transparent Symmetric Key whatever form it came in; check its length."""
    key = formats.load_symmetric(block)
    attributes = block.key_value.attributes if isinstance(block.key_value, KeyValue) else None
    return SymmetricKey(
        key_block=msgspec.structs.replace(
            block,
            key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
            key_value=KeyValue(
                key_material=TransparentSymmetricKey(key=key), attributes=attributes
            ),
            cryptographic_length=block.cryptographic_length or len(key) * 8,
        )
    )


async def _asymmetric_key(
    call: Call, managed_object: PrivateKey | PublicKey, attributes: Attributes
) -> tuple[ManagedObject, Attributes]:
    """Parse and validate the key; keep it in the format in which it came."""
    block = managed_object.key_block
    if small_dsa.is_kept(block):
        return managed_object, attributes
    load = formats.load_private if isinstance(managed_object, PrivateKey) else formats.load_public
    key = await call.offload(load, block)
    described = formats.describe(key)
    domain = attributes.cryptographic_domain_parameters
    if described.curve is not None:
        domain = CryptographicDomainParameters(recommended_curve=described.curve)
    block = msgspec.structs.replace(
        block,
        cryptographic_algorithm=block.cryptographic_algorithm or described.algorithm,
        cryptographic_length=described.length_bits,
    )
    complete = msgspec.structs.replace(attributes, cryptographic_domain_parameters=domain)
    return msgspec.structs.replace(managed_object, key_block=block), complete


def certified(certificate: Certificate, attributes: Attributes) -> Attributes:
    """Add to the attributes of a certificate what it says of itself.

    Raises:
        KmipError: it is said to be X.509, and is not.
    """
    described: dict[str, object] = {}
    if certificate.certificate_type is CertificateType.X509:
        described = certificate_attributes.described(certificate.certificate_value)
    return msgspec.structs.replace(
        attributes,
        certificate_type=certificate.certificate_type,
        certificate_length=len(certificate.certificate_value),
        key_format_type=KeyFormatType.X509,
        **described,
    )
