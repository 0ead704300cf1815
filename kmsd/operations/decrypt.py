"""Decrypt (KMIP 2.1 §6.1.11)."""

import functools
from typing import Annotated, Any

from kmsd.crypto import algorithms, asymmetric, bulk, pqc
from kmsd.crypto.interfaces import Decryptor, ReadyCipher
from kmsd.kmip.enums import ObjectType, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import slow, streams, usable
from kmsd.operations.call import Call
from kmsd.ttlv.schema import SECRET, Structure


class Decrypt(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
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
    """Decrypt `data`, or one part of it, with a symmetric or private key.

    Raises:
        KmipError: there is no data, a nonce is missing, there is no such stream, or it cannot be
            decrypted: whether the tag, the padding or the key is wrong is not told.
    """
    if call.target.attributes.object_type is not ObjectType.SYMMETRIC_KEY:
        plain = await _with_private_key(call, request)
    else:
        parameters = usable.parameters(call.target, request.cryptographic_parameters)
        ready = await usable.cipher(call, call.target, parameters)
        if streams.has_parts(call, request):
            return await _part(call, request, ready, parameters)
        plain = await _whole(call, request, ready, parameters)
    return DecryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=plain,
        correlation_value=request.correlation_value,
    )


def _data(request: Decrypt) -> bytes:
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "Decrypt: there is no data to decrypt")
    return request.data


async def _with_private_key(call: Call, request: Decrypt) -> bytes:
    data = _data(request)
    parameters = usable.parameters(call.target, request.cryptographic_parameters)
    key = await usable.private_key(call, call.target)
    if pqc.is_kem(key):
        return pqc.decapsulate(key, data)
    return await call.offload(_opened, key, data, parameters)


def _opened(key: Any, data: bytes, parameters: CryptographicParameters | None) -> bytes:
    if not bulk.is_bulk(data):
        return asymmetric.decrypt(key, data, parameters)
    return bulk.build([asymmetric.decrypt(key, item, parameters) for item in bulk.parse(data)])


async def _whole(
    call: Call,
    request: Decrypt,
    ready: ReadyCipher,
    parameters: CryptographicParameters | None,
) -> bytes:
    data, aad = _data(request), request.authenticated_encryption_additional_data or b""
    if bulk.is_bulk(data) and request.iv_counter_nonce is None:
        return await slow.run(call, len(data), algorithms.decrypt_bulk, ready, data, aad)
    decrypts = functools.partial(
        ready.decrypt,
        data,
        request.iv_counter_nonce,
        aad,
        request.authenticated_encryption_tag or b"",
        parameters.tag_length if parameters else None,
        counter=parameters.initial_counter_value if parameters else None,
    )
    return decrypts() if len(data) < slow.LARGE_BYTES else await call.offload(decrypts)


class _Decrypting:
    """A decryption in parts; the tag comes with the first or the last of them."""

    def __init__(self, decryptor: Decryptor, tag: bytes | None) -> None:
        self._decryptor = decryptor
        self.tag = tag
        self.held = 0

    def update(self, data: bytes) -> bytes:
        plain = self._decryptor.update(data)
        self.held += len(data) - len(plain)
        return plain

    def finalize(self) -> bytes:
        return self._decryptor.finalize(tag=self.tag or b"")


async def _part(
    call: Call,
    request: Decrypt,
    ready: ReadyCipher,
    parameters: CryptographicParameters | None,
) -> DecryptResponse:
    def begin() -> _Decrypting:
        decryptor = ready.decryptor(
            request.iv_counter_nonce,
            request.authenticated_encryption_additional_data or b"",
            parameters.tag_length if parameters else None,
            counter=parameters.initial_counter_value if parameters else None,
        )
        return _Decrypting(decryptor, request.authenticated_encryption_tag)

    part = await streams.step(call, Operation.DECRYPT, request, begin)
    plain = part.output
    if part.correlation_value is None:
        part.work.tag = request.authenticated_encryption_tag or part.work.tag
        plain += await slow.run(call, part.work.held, part.work.finalize)
    return DecryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=plain,
        correlation_value=part.correlation_value,
    )
