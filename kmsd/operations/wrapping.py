"""Wrapping and unwrapping of key blocks by other keys of the store. Source: KMIP 2.1 §3.3, §7.18."""

import dataclasses
from typing import Any

import msgspec
from cryptography import x509

from kmsd.crypto import formats, keywrap
from kmsd.kmip.attributes import Attributes, vendor_value
from kmsd.kmip.enums import (
    CryptographicUsageMask,
    EncodingOption,
    KeyFormatType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    WrappingMethod,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    Certificate,
    KeyBlock,
    KeyValue,
    ManagedObject,
    TransparentECPrivateKey,
    TransparentECPublicKey,
    TransparentSymmetricKey,
    key_block,
    key_material,
)
from kmsd.kmip.states import PROCESSING, PROTECTING
from kmsd.kmip.structures import (
    EncryptionKeyInformation,
    KeyWrappingData,
    KeyWrappingSpecification,
    Link,
)
from kmsd.operations.call import Call
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Record
from kmsd.ttlv import TtlvError, binary_format
from kmsd.ttlv.schema import dump, load

_WRAPPING_KEY = Target(
    permit=frozenset({"encrypt", "get"}),
    states=PROTECTING,
    usage=CryptographicUsageMask.WRAP_KEY,
    not_found=ResultReason.WRAPPING_OBJECT_NOT_FOUND,
)
_UNWRAPPING_KEY = Target(
    permit=frozenset({"decrypt", "get"}),
    states=PROCESSING,
    usage=CryptographicUsageMask.UNWRAP_KEY,
    not_found=ResultReason.WRAPPING_OBJECT_NOT_FOUND,
)


def by_key(unique_identifier: str) -> KeyWrappingSpecification:
    """Return the specification of the default wrapping under a key: encrypted, not encoded."""
    return KeyWrappingSpecification(
        wrapping_method=WrappingMethod.ENCRYPT,
        encryption_key_information=EncryptionKeyInformation(unique_identifier=unique_identifier),
        encoding_option=EncodingOption.NO_ENCODING,
    )


def is_wrapped(managed_object: ManagedObject | None) -> bool:
    """Tell whether an object's key is wrapped."""
    block = key_block(managed_object)
    return block is not None and block.key_wrapping_data is not None


async def wrap(
    call: Call, managed_object: ManagedObject, specification: KeyWrappingSpecification
) -> ManagedObject:
    """Return the object with its key wrapped as the specification says.

    Raises:
        KmipError: it is wrapped already or has no key, the method is another than Encrypt, or the
            wrapping key may not be used.
    """
    block = key_block(managed_object)
    if block is None or block.key_wrapping_data is not None:
        raise KmipError(
            ResultReason.ILLEGAL_OBJECT_TYPE,
            "only a key that is in clear can be wrapped: this object has none, or is wrapped",
        )
    information = _key_information(specification)
    parameters = information.cryptographic_parameters
    wrapping = await _wrapping_record(call, information.unique_identifier)
    encoding = specification.encoding_option or EncodingOption.NO_ENCODING
    aad = specification.attribute_name[0].encode() if specification.attribute_name else b""
    wrapped = keywrap.wrap(
        await _protecting_key(call, wrapping),
        _plain(block, encoding),
        parameters,
        aad=aad,
        generation=call.generation,
        random=call.services.random,
    )
    data = KeyWrappingData(
        wrapping_method=specification.wrapping_method,
        encryption_key_information=information,
        encoding_option=specification.encoding_option,
    )
    attributes = block.key_value.attributes if isinstance(block.key_value, KeyValue) else None
    value: KeyValue | bytes = wrapped
    if encoding is EncodingOption.NO_ENCODING:
        value = KeyValue(key_material=wrapped, attributes=attributes)
    return _with_block(
        managed_object, msgspec.structs.replace(block, key_value=value, key_wrapping_data=data)
    )


async def clear(call: Call, record: Record) -> ManagedObject:
    """Return a record's object with its key in clear, unwrapping it if need be.

    Raises:
        KmipError: the object is destroyed, or its wrapping key is not here or may not be used.
    """
    managed_object = record.managed_object
    if managed_object is None:
        raise KmipError(
            ResultReason.OBJECT_DESTROYED, f"{record.unique_identifier} has been destroyed"
        )
    if not is_wrapped(managed_object):
        return managed_object
    return await unwrap(call, managed_object, record.attributes)


async def unwrap(
    call: Call, managed_object: ManagedObject, attributes: Attributes
) -> ManagedObject:
    """Return the object with its key unwrapped by the key that its wrapping data names.

    Raises:
        KmipError: it is not wrapped, was wrapped elsewhere, or the wrapping key may not be used.
    """
    block = key_block(managed_object)
    data = block.key_wrapping_data if block else None
    if block is None or data is None:
        raise KmipError(ResultReason.INVALID_OBJECT_TYPE, "the key is not wrapped")
    information = data.encryption_key_information
    if information is None or data.wrapping_method is not WrappingMethod.ENCRYPT:
        raise KmipError(
            ResultReason.WRAPPING_OBJECT_NOT_FOUND,
            "the key was wrapped outside: its wrapping data name no key of this server",
        )
    record = await _unwrapping_record(call, information.unique_identifier)
    wrapped = key_material(block)
    plain = keywrap.unwrap(
        await _processing_key(call, record),
        wrapped if isinstance(wrapped, bytes) else b"",
        information.cryptographic_parameters,
        aad=vendor_value(attributes, "aad") or b"",
        generation=call.generation,
    )
    return _with_block(managed_object, _restored(block, plain, attributes, data))


def _key_information(specification: KeyWrappingSpecification) -> EncryptionKeyInformation:
    if specification.wrapping_method is not WrappingMethod.ENCRYPT:
        raise KmipError(
            ResultReason.FEATURE_NOT_SUPPORTED,
            f"WrappingMethod {specification.wrapping_method.wire_name} is not supported: use"
            " Encrypt",
        )
    if specification.encryption_key_information is None:
        raise KmipError(
            ResultReason.INVALID_FIELD,
            "the KeyWrappingSpecification names no key in its EncryptionKeyInformation",
        )
    return specification.encryption_key_information


async def _wrapping_record(call: Call, named: str) -> Record:
    """Find a wrapping key; a private one stands for its public half."""
    (record,) = await find(call, Operation.ENCRYPT, _WRAPPING_KEY, named)
    if record.attributes.object_type is ObjectType.PRIVATE_KEY:
        public = _linked(record, LinkType.PUBLIC_KEY_LINK)
        (record,) = await find(call, Operation.ENCRYPT, _WRAPPING_KEY, public)
    return record


async def _unwrapping_record(call: Call, named: str) -> Record:
    """Find an unwrapping key; a public one or a certificate stands for its private half."""
    either_half = dataclasses.replace(_UNWRAPPING_KEY, usage=None)
    (record,) = await find(call, Operation.DECRYPT, either_half, named)
    if record.attributes.object_type in {ObjectType.PUBLIC_KEY, ObjectType.CERTIFICATE}:
        named = _linked(record, LinkType.PRIVATE_KEY_LINK)
    (record,) = await find(call, Operation.DECRYPT, _UNWRAPPING_KEY, named)
    return record


def _linked(record: Record, link_type: LinkType) -> str:
    for link in record.attributes.link:
        if link.link_type is link_type and link.linked_object_identifier:
            return link.linked_object_identifier
    raise KmipError(
        ResultReason.WRAPPING_OBJECT_NOT_FOUND,
        f"{record.unique_identifier} has no {link_type.wire_name} to the other half of its pair",
    )


async def _protecting_key(call: Call, record: Record) -> Any:
    """Return the bytes of a symmetric key, or the public key to encrypt to."""
    managed_object = await clear(call, record)
    if isinstance(managed_object, Certificate):
        der = managed_object.certificate_value
        return call.services.keys.get(
            record, "certificate", lambda: x509.load_der_x509_certificate(der).public_key()
        )
    block = _block(managed_object)
    if record.attributes.object_type is ObjectType.PUBLIC_KEY:
        return call.services.keys.get(
            record, "public", lambda: formats.load_public(block, trusted=True)
        )
    return formats.load_symmetric(block)


async def _processing_key(call: Call, record: Record) -> Any:
    """Return the bytes of a symmetric key, or the private key to decrypt with."""
    block = _block(await clear(call, record))
    if record.attributes.object_type is ObjectType.PRIVATE_KEY:
        return call.services.keys.get(
            record, "private", lambda: formats.load_private(block, trusted=True)
        )
    return formats.load_symmetric(block)


def _block(managed_object: ManagedObject) -> KeyBlock:
    block = key_block(managed_object)
    if block is None:
        raise KmipError(ResultReason.INVALID_OBJECT_TYPE, "this object is no key")
    return block


def _plain(block: KeyBlock, encoding: EncodingOption) -> bytes:
    """Return what is wrapped: the key alone, or the whole Key Value as binary TTLV."""
    if encoding is EncodingOption.TTLV_ENCODING and isinstance(block.key_value, KeyValue):
        return binary_format.encode(dump(block.key_value))
    material = key_material(block)
    if isinstance(material, TransparentSymmetricKey):
        return material.key
    if block.cryptographic_algorithm is None or isinstance(material, bytes):
        return material if isinstance(material, bytes) else b""
    if isinstance(material, TransparentECPublicKey):
        return material.q_string
    return formats.wrapped_form(formats.load_private(block, trusted=True))


def _restored(
    block: KeyBlock, plain: bytes, attributes: Attributes, data: KeyWrappingData
) -> KeyBlock:
    """Return the key block in clear, made of what was unwrapped."""
    if data.encoding_option is EncodingOption.TTLV_ENCODING:
        try:
            key_value = load(KeyValue, binary_format.decode(plain))
        except TtlvError:
            raise KmipError(
                ResultReason.ENCODING_OPTION_ERROR, "what was unwrapped is not a Key Value"
            ) from None
        values = {"key_format_type": block.key_format_type, "key_value": key_value}
        KeyBlock.adjust(values)
        return msgspec.structs.replace(block, key_value=values["key_value"], key_wrapping_data=None)
    key_format, material = _material(block.key_format_type, plain, attributes)
    kept = block.key_value.attributes if isinstance(block.key_value, KeyValue) else None
    return msgspec.structs.replace(
        block,
        key_format_type=key_format,
        key_value=KeyValue(key_material=material, attributes=kept),
        key_wrapping_data=None,
    )


def _material(key_format: KeyFormatType, plain: bytes, attributes: Attributes) -> tuple[Any, Any]:
    """Return the format and material that bytes wrapped without encoding stand for."""
    domain = attributes.cryptographic_domain_parameters
    curve = domain.recommended_curve if domain else None
    if key_format is KeyFormatType.TRANSPARENT_SYMMETRIC_KEY:
        return key_format, TransparentSymmetricKey(key=plain)
    if key_format is KeyFormatType.TRANSPARENT_RSA_PRIVATE_KEY:
        return KeyFormatType.PKCS1, plain
    if key_format is KeyFormatType.TRANSPARENT_EC_PRIVATE_KEY and curve is not None:
        return key_format, TransparentECPrivateKey(
            recommended_curve=curve, d=int.from_bytes(plain, "big")
        )
    if key_format is KeyFormatType.TRANSPARENT_EC_PUBLIC_KEY and curve is not None:
        return key_format, TransparentECPublicKey(recommended_curve=curve, q_string=plain)
    return key_format, plain


def _with_block(managed_object: ManagedObject, block: KeyBlock) -> ManagedObject:
    return msgspec.structs.replace(managed_object, key_block=block)


async def wrapped_record(call: Call, record: Record, wrapping_key: str) -> Record:
    """Return a new object's record with its key wrapped by `wrapping_key`, and linked to it."""
    if wrapping_key == record.unique_identifier:
        raise KmipError(ResultReason.INVALID_ATTRIBUTE_VALUE, "a key cannot wrap itself")
    if record.managed_object is None:
        return record
    link = Link(link_type=LinkType.WRAPPING_KEY_LINK, linked_object_identifier=wrapping_key)
    return msgspec.structs.replace(
        record,
        managed_object=await wrap(call, record.managed_object, by_key(wrapping_key)),
        attributes=msgspec.structs.replace(record.attributes, link=(*record.attributes.link, link)),
    )
