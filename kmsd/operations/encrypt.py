"""Encrypt (KMIP 2.1 §6.1.17)."""

from typing import Annotated

from kmsd.crypto import algorithms, asymmetric, bulk
from kmsd.kmip.enums import ObjectType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import usable
from kmsd.operations.call import Call
from kmsd.ttlv.schema import SECRET, Structure


class Encrypt(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
    iv_counter_nonce: bytes | None = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None
    authenticated_encryption_additional_data: bytes | None = None


class EncryptResponse(Structure):
    """Response payload."""

    unique_identifier: str
    data: bytes | None = None
    iv_counter_nonce: bytes | None = None
    correlation_value: bytes | None = None
    authenticated_encryption_tag: bytes | None = None


async def encrypt(call: Call, request: Encrypt) -> EncryptResponse:
    """Encrypt `data` under a symmetric key, or to a public key or certificate.

    The nonce is the server's unless the request gives one.

    Raises:
        KmipError: there is no data, or the key and parameters do not go together.
    """
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "Encrypt: there is no data to encrypt")
    if call.target.attributes.object_type is not ObjectType.SYMMETRIC_KEY:
        return await _to_public_key(call, request, request.data)
    return await _with_symmetric_key(call, request, request.data)


async def _with_symmetric_key(call: Call, request: Encrypt, data: bytes) -> EncryptResponse:
    record = call.target
    aad = request.authenticated_encryption_additional_data or b""
    parameters = usable.parameters(record, request.cryptographic_parameters)
    ready = await usable.cipher(call, record, parameters)
    if bulk.is_bulk(data) and request.iv_counter_nonce is None:
        sealed = algorithms.encrypt_bulk(ready, data, aad, call.services.random)
        return EncryptResponse(unique_identifier=record.unique_identifier, data=sealed)
    made = ready.encrypt(
        data,
        request.iv_counter_nonce,
        aad,
        parameters.tag_length if parameters else None,
        counter=parameters.initial_counter_value if parameters else None,
        random=call.services.random,
    )
    return EncryptResponse(
        unique_identifier=record.unique_identifier,
        data=made.ciphertext,
        iv_counter_nonce=_shown(call, made.nonce, request.iv_counter_nonce),
        correlation_value=request.correlation_value,
        authenticated_encryption_tag=made.tag if made.tag or call.generation == 4 else None,  # noqa: PLR2004
    )


def _shown(call: Call, nonce: bytes, given: bytes | None) -> bytes | None:
    """Return the nonce when the client does not have it; 4.x servers always return one."""
    if call.generation == 4:  # noqa: PLR2004
        return nonce
    return nonce if nonce and given is None else None


async def _to_public_key(call: Call, request: Encrypt, data: bytes) -> EncryptResponse:
    record = call.target
    parameters = usable.parameters(record, request.cryptographic_parameters)
    key = await usable.public_key(call, record)
    return EncryptResponse(
        unique_identifier=record.unique_identifier,
        data=asymmetric.encrypt(key, data, parameters),
        correlation_value=request.correlation_value,
    )
