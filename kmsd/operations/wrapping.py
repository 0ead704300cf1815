"""Wrapping and unwrapping of keys by other keys of the store. Source: KMIP 2.1 §3.3, §7.18."""

import dataclasses
from typing import Any

import msgspec
from cryptography import x509

from kmsd.crypto import formats
from kmsd.crypto import wrapping as cipher
from kmsd.kmip.attributes import Attributes, vendor_value
from kmsd.kmip.enums import (
    CryptographicUsageMask,
    EncodingOption,
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
    key_block,
    key_material,
)
from kmsd.kmip.states import PROCESSING, PROTECTING
from kmsd.kmip.structures import (
    CryptographicParameters,
    EncryptionKeyInformation,
    KeyWrappingData,
    KeyWrappingSpecification,
)
from kmsd.operations import wrapped_form
from kmsd.operations.call import Call
from kmsd.operations.links import linked, with_link
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Record

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
    exact=True,
)


_EITHER_HALF = frozenset({"encrypt", "decrypt", "get"})
"""What lets one name a half of a pair; the right that counts is the one to the other half."""

WRAPPING_KEY = "wrapping_key_id"
"""The vendor attribute by which the product's clients have a new key wrapped."""
_PUBLIC = frozenset({ObjectType.PUBLIC_KEY, ObjectType.CERTIFICATE, ObjectType.OPAQUE_OBJECT})


@dataclasses.dataclass(frozen=True)
class Replacement:
    """A wrapping key that is replaced: what unwraps the old, wraps anew, and is named for it."""

    unwraps: Record
    wraps: Record
    unique_identifier: str


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


def wrapping_key(record: Record) -> str | None:
    """Return the identifier of the key that wraps an object; None if none of ours does."""
    block = key_block(record.managed_object)
    data = block.key_wrapping_data if block else None
    information = data.encryption_key_information if data else None
    return information.unique_identifier if information else None


def specification(record: Record) -> KeyWrappingSpecification | None:
    """Return how an object is wrapped, to wrap another in the same way; None if it is not.

    Raises:
        KmipError: it was wrapped outside.
    """
    block = key_block(record.managed_object)
    data = block.key_wrapping_data if block else None
    if data is None:
        return None
    return KeyWrappingSpecification(
        wrapping_method=data.wrapping_method,
        encryption_key_information=_information_of(data),
        encoding_option=data.encoding_option,
    )


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
    named, record = await _wrapping_record(call, information.unique_identifier)
    information = msgspec.structs.replace(information, unique_identifier=named)
    encoding = specification.encoding_option or EncodingOption.NO_ENCODING
    aad = specification.attribute_name[0].encode() if specification.attribute_name else b""
    wrapped = await _wrap(
        call,
        record,
        wrapped_form.plain(block, encoding, call.generation),
        information.cryptographic_parameters,
        aad,
    )
    data = KeyWrappingData(
        wrapping_method=specification.wrapping_method,
        encryption_key_information=information,
        encoding_option=specification.encoding_option,
    )
    return _with_block(managed_object, _wrapped_block(block, wrapped, data))


def _wrapped_block(block: KeyBlock, wrapped: bytes, data: KeyWrappingData) -> KeyBlock:
    """Put wrapped bytes in: as key material, or with TTLV Encoding as the whole key value."""
    attributes = block.key_value.attributes if isinstance(block.key_value, KeyValue) else None
    value: KeyValue | bytes = wrapped
    if data.encoding_option is not EncodingOption.TTLV_ENCODING:
        value = KeyValue(key_material=wrapped, attributes=attributes)
    return msgspec.structs.replace(block, key_value=value, key_wrapping_data=data)


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
    information = _information_of(data)
    record = await _unwrapping_record(call, information.unique_identifier)
    unwrapped = await _unwrap(call, record, block, attributes)
    clear_block = wrapped_form.restored(block, unwrapped, attributes, data.encoding_option)
    return _with_block(managed_object, clear_block)


async def wrapped_as(call: Call, record: Record, specification: KeyWrappingSpecification) -> Record:
    """Return a record with its key wrapped as the specification says, and linked to what wraps it.

    Raises:
        KmipError: the key would wrap itself, or as `wrap`.
    """
    if _key_information(specification).unique_identifier == record.unique_identifier:
        raise KmipError(ResultReason.INVALID_ATTRIBUTE_VALUE, "a key cannot wrap itself")
    if record.managed_object is None:
        return record
    wrapped = msgspec.structs.replace(
        record, managed_object=await wrap(call, record.managed_object, specification)
    )
    uid = wrapping_key(wrapped) or ""
    return msgspec.structs.replace(
        wrapped, attributes=with_link(record.attributes, LinkType.WRAPPING_KEY_LINK, uid)
    )


async def protected(call: Call, record: Record) -> Record:
    """Return a new record wrapped under the key that its vendor attribute names, if any does.

    Raises:
        KmipError: that key may not be used.
    """
    name = vendor_value(record.attributes, WRAPPING_KEY)
    if (
        name is None
        or record.attributes.object_type in _PUBLIC
        or is_wrapped(record.managed_object)
    ):
        return record
    return await wrapped_as(call, record, by_key(name.decode("utf-8", "replace")))


async def rewrapped(call: Call, record: Record, replacement: Replacement) -> Record:
    """Return a record whose key is wrapped by the replacement of the key that wraps it.

    The caller needs no right to this object: it only keeps up with its wrapping key.

    Raises:
        KmipError: it cannot be unwrapped.
    """
    block = key_block(record.managed_object)
    data = block.key_wrapping_data if block else None
    assert record.managed_object is not None  # noqa: S101 (`is_wrapped` was asked before)
    assert block is not None  # noqa: S101
    assert data is not None  # noqa: S101
    parameters = _information_of(data).cryptographic_parameters
    aad = vendor_value(record.attributes, "aad") or b""
    unwrapped = await _unwrap(call, replacement.unwraps, block, record.attributes)
    wrapped = await _wrap(call, replacement.wraps, unwrapped, parameters, aad)
    uid = replacement.unique_identifier
    information = EncryptionKeyInformation(
        unique_identifier=uid, cryptographic_parameters=parameters
    )
    data = msgspec.structs.replace(data, encryption_key_information=information)
    return msgspec.structs.replace(
        record,
        managed_object=_with_block(record.managed_object, _wrapped_block(block, wrapped, data)),
        attributes=msgspec.structs.replace(
            with_link(record.attributes, LinkType.WRAPPING_KEY_LINK, uid), last_change_date=call.now
        ),
    )


def _information_of(data: KeyWrappingData) -> EncryptionKeyInformation:
    """Return which key of this server wraps an object. Raises: KmipError when none does."""
    information = data.encryption_key_information
    if information is None or data.wrapping_method is not WrappingMethod.ENCRYPT:
        raise KmipError(
            ResultReason.WRAPPING_OBJECT_NOT_FOUND,
            "the key was wrapped outside: its wrapping data name no key of this server",
        )
    return information


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


async def _wrap(
    call: Call,
    record: Record,
    plain: bytes,
    parameters: CryptographicParameters | None,
    aad: bytes,
) -> bytes:
    """Wrap bytes under the key of a record."""
    return cipher.wrap(
        await _protecting_key(call, record),
        plain,
        parameters,
        aad=aad,
        generation=call.generation,
        random=call.services.random,
    )


async def _unwrap(call: Call, record: Record, block: KeyBlock, attributes: Attributes) -> bytes:
    """Unwrap the bytes of a key block with the key of a record."""
    wrapped = key_material(block)
    data = block.key_wrapping_data
    information = data.encryption_key_information if data else None
    key = await _processing_key(call, record)

    def work() -> bytes:
        return cipher.unwrap(
            key,
            wrapped if isinstance(wrapped, bytes) else b"",
            information.cryptographic_parameters if information else None,
            aad=vendor_value(attributes, "aad") or b"",
            generation=call.generation,
        )

    return work() if isinstance(key, bytes) else await call.offload(work)


async def _wrapping_record(call: Call, named: str) -> tuple[str, Record]:
    """Find the wrapping key under a name, and its identifier; a private key's public half wraps."""
    either_half = dataclasses.replace(_WRAPPING_KEY, permit=_EITHER_HALF, usage=None)
    (record,) = await find(call, Operation.ENCRYPT, either_half, named)
    found = wraps = record.unique_identifier
    if record.attributes.object_type is ObjectType.PRIVATE_KEY:
        wraps = _linked(record, LinkType.PUBLIC_KEY_LINK)
    (record,) = await find(call, Operation.ENCRYPT, _WRAPPING_KEY, wraps)
    return found, record


async def _unwrapping_record(call: Call, named: str) -> Record:
    """Find an unwrapping key; a public one or a certificate stands for its private half."""
    either_half = dataclasses.replace(_UNWRAPPING_KEY, permit=_EITHER_HALF, usage=None)
    (record,) = await find(call, Operation.DECRYPT, either_half, named)
    if record.attributes.object_type in {ObjectType.PUBLIC_KEY, ObjectType.CERTIFICATE}:
        named = _linked(record, LinkType.PRIVATE_KEY_LINK)
    (record,) = await find(call, Operation.DECRYPT, _UNWRAPPING_KEY, named)
    return record


def _linked(record: Record, link_type: LinkType) -> str:
    found = linked(record, link_type)
    if found is None:
        raise KmipError(
            ResultReason.WRAPPING_OBJECT_NOT_FOUND,
            f"{record.unique_identifier} has no {link_type.wire_name} to the other half of its"
            " pair",
        )
    return found


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


def _with_block(managed_object: ManagedObject, block: KeyBlock) -> ManagedObject:
    return msgspec.structs.replace(managed_object, key_block=block)
