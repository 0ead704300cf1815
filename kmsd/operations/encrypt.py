"""Encrypt (KMIP 2.1 §6.1.17)."""

import functools
from typing import Annotated, Any

from kmsd.crypto import algorithms, asymmetric, bulk, pqc
from kmsd.crypto.interfaces import Encrypted, Encryptor, ReadyCipher
from kmsd.kmip.enums import ObjectType, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import nonces, slow, streams, usable, usage
from kmsd.operations.call import Call
from kmsd.operations.streams import Place
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
    """Response payload; of ML-KEM `data` is the shared secret and the nonce its ciphertext."""

    unique_identifier: str
    data: Annotated[bytes | None, SECRET] = None
    iv_counter_nonce: bytes | None = None
    correlation_value: bytes | None = None
    authenticated_encryption_tag: bytes | None = None


async def encrypt(call: Call, request: Encrypt) -> EncryptResponse:
    """Encrypt `data`, or one part of it, under a symmetric key, or to a public key or certificate.

    The nonce is the server's unless the request gives one.

    Raises:
        KmipError: there is no data, the key and parameters do not go together, the key may not be
            used so often, or there is no such stream.
    """
    if call.target.attributes.object_type is not ObjectType.SYMMETRIC_KEY:
        return await _to_public_key(call, request)
    parameters = usable.parameters(call.target, request.cryptographic_parameters)
    ready = await usable.cipher(call, call.target, parameters)
    if streams.has_parts(call, request):
        return await _part(call, request, ready, parameters)
    data = _data(request)
    if call.target.attributes.usage_limits is not None:
        await usage.spend(call, len(data))
    if bulk.is_bulk(data) and request.iv_counter_nonce is None:
        return await _bulk(call, request, ready, data)
    return await _whole(call, request, ready, parameters, data)


def _data(request: Encrypt) -> bytes:
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "Encrypt: there is no data to encrypt")
    return request.data


async def _whole(
    call: Call,
    request: Encrypt,
    ready: ReadyCipher,
    parameters: CryptographicParameters | None,
    data: bytes,
) -> EncryptResponse:
    given = request.iv_counter_nonce
    await _count_nonces(call, request, ready)
    encrypts = functools.partial(
        ready.encrypt,
        data,
        given,
        request.authenticated_encryption_additional_data or b"",
        parameters.tag_length if parameters else None,
        counter=parameters.initial_counter_value if parameters else None,
        random=call.services.random,
    )
    made = encrypts() if len(data) < slow.LARGE_BYTES else await call.offload(encrypts)
    return EncryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=made.ciphertext,
        iv_counter_nonce=_shown(call, made.nonce, given),
        correlation_value=request.correlation_value,
        authenticated_encryption_tag=made.tag
        if made.tag or call.generation is Generation.V4
        else None,
    )


async def _bulk(call: Call, request: Encrypt, ready: ReadyCipher, data: bytes) -> EncryptResponse:
    aad = request.authenticated_encryption_additional_data or b""
    await _count_nonces(call, request, ready, len(bulk.parse(data)))
    seal = functools.partial(algorithms.encrypt_bulk, ready, data, aad, call.services.random)
    return EncryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=await slow.run(call, len(data), seal),
    )


async def _count_nonces(call: Call, request: Encrypt, ready: ReadyCipher, uses: int = 1) -> None:
    if request.iv_counter_nonce is None and ready.cipher.nonce_size == nonces.SIZE:
        await nonces.NONCES.count(call.store, call.target, uses)


def _shown(call: Call, nonce: bytes, given: bytes | None) -> bytes | None:
    """Return the nonce when the client does not have it; 4.x servers always return one."""
    if call.generation is Generation.V4:
        return nonce
    return nonce if nonce and given is None else None


class _Encrypting:
    """An encryption in parts."""

    def __init__(self, encryptor: Encryptor) -> None:
        self._encryptor = encryptor
        self.nonce = encryptor.nonce
        self.held = 0

    def update(self, data: bytes) -> bytes:
        ciphertext = self._encryptor.update(data)
        self.held += len(data) - len(ciphertext)
        return ciphertext

    def finalize(self) -> Encrypted:
        return self._encryptor.finalize()


async def _part(
    call: Call,
    request: Encrypt,
    ready: ReadyCipher,
    parameters: CryptographicParameters | None,
) -> EncryptResponse:
    first = streams.place(request) is Place.FIRST
    await usage.spend(call, len(request.data or b""), objects=first)
    if first:
        await _count_nonces(call, request, ready)
    uid, given = call.target.unique_identifier, request.iv_counter_nonce

    def begin() -> _Encrypting:
        return _Encrypting(
            ready.encryptor(
                given,
                request.authenticated_encryption_additional_data or b"",
                parameters.tag_length if parameters else None,
                counter=parameters.initial_counter_value if parameters else None,
                random=call.services.random,
            )
        )

    part = await streams.step(call, Operation.ENCRYPT, request, begin)
    if part.correlation_value is not None:
        return EncryptResponse(
            unique_identifier=uid,
            data=part.output,
            iv_counter_nonce=_shown(call, part.work.nonce, given) if first else None,
            correlation_value=part.correlation_value,
        )
    made = await slow.run(call, part.work.held, part.work.finalize)
    return EncryptResponse(
        unique_identifier=uid,
        data=part.output + made.ciphertext,
        authenticated_encryption_tag=made.tag or None,
    )


async def _to_public_key(call: Call, request: Encrypt) -> EncryptResponse:
    record = call.target
    parameters = usable.parameters(record, request.cryptographic_parameters)
    key = await usable.public_key(call, record)
    if pqc.is_kem(key):
        return await _encapsulated(call, request, key)
    data = _data(request)
    await usage.spend(call, len(data))
    if bulk.is_bulk(data):
        sealed = await call.offload(_each, key, data, parameters)
    else:
        sealed = await slow.run(call, len(data), asymmetric.encrypt, key, data, parameters)
    return EncryptResponse(
        unique_identifier=record.unique_identifier,
        data=sealed,
        correlation_value=request.correlation_value,
    )


def _each(key: Any, data: bytes, parameters: CryptographicParameters | None) -> bytes:
    return bulk.build([asymmetric.encrypt(key, item, parameters) for item in bulk.parse(data)])


async def _encapsulated(call: Call, request: Encrypt, key: Any) -> EncryptResponse:
    """Make a shared secret with an ML-KEM key. Source: FIPS 203; the product's form."""
    if request.data:
        raise KmipError(
            ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS,
            "an ML-KEM key makes a secret of its own: send empty data, and encrypt under a key"
            " derived from the secret",
        )
    await usage.spend(call, 0)
    shared_secret, ciphertext = pqc.encapsulate(key)
    return EncryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=shared_secret,
        iv_counter_nonce=ciphertext,
        correlation_value=request.correlation_value,
    )
