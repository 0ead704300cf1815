"""Decrypt (KMIP 2.1 §6.1.11)."""

from typing import Annotated

from kmsd.crypto import algorithms, asymmetric, bulk
from kmsd.kmip.enums import ObjectType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import usable
from kmsd.operations.call import Call
from kmsd.ttlv.schema import SECRET, Structure


class Decrypt(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: bytes | None = None
    iv_counter_nonce: bytes | None = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None
    authenticated_encryption_additional_data: bytes | None = None
    authenticated_encryption_tag: bytes | None = None


class DecryptResponse(Structure):
    """Response payload."""

    unique_identifier: str
    data: Annotated[bytes | None, SECRET] = None
    correlation_value: bytes | None = None


async def decrypt(call: Call, request: Decrypt) -> DecryptResponse:
    """Decrypt `data` with a symmetric or private key.

    Raises:
        KmipError: there is no data, a nonce is missing, or it cannot be decrypted: whether the
            tag, the padding or the key is wrong is not told.
    """
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "Decrypt: there is no data to decrypt")
    record = call.target
    if record.attributes.object_type is ObjectType.SYMMETRIC_KEY:
        plain = await _with_symmetric_key(call, request, request.data)
    else:
        parameters = usable.parameters(record, request.cryptographic_parameters)
        key = await usable.private_key(call, record)
        plain = await call.offload(asymmetric.decrypt, key, request.data, parameters)
    return DecryptResponse(
        unique_identifier=record.unique_identifier,
        data=plain,
        correlation_value=request.correlation_value,
    )


async def _with_symmetric_key(call: Call, request: Decrypt, data: bytes) -> bytes:
    record = call.target
    aad = request.authenticated_encryption_additional_data or b""
    parameters = usable.parameters(record, request.cryptographic_parameters)
    ready = await usable.cipher(call, record, parameters)
    if bulk.is_bulk(data) and request.iv_counter_nonce is None:
        return algorithms.decrypt_bulk(ready, data, aad)
    return ready.decrypt(
        data,
        request.iv_counter_nonce,
        aad,
        request.authenticated_encryption_tag or b"",
        parameters.tag_length if parameters else None,
        counter=parameters.initial_counter_value if parameters else None,
    )
