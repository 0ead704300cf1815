"""Sign (KMIP 2.1 §6.1.55)."""

import functools
from typing import Annotated, Any

from kmsd.crypto import digest, signatures
from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import slow, streams, usable, usage
from kmsd.operations.call import Call
from kmsd.operations.streams import Place
from kmsd.ttlv.schema import SECRET, Structure


class Sign(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
    digested_data: bytes | None = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None


class SignResponse(Structure):
    """Response payload."""

    unique_identifier: str
    signature_data: bytes | None = None
    correlation_value: bytes | None = None


async def sign(call: Call, request: Sign) -> SignResponse:
    """Sign `data`, what has the digest `digested_data`, or all the parts of a stream.

    Raises:
        KmipError: there is no data, the key and parameters do not go together, or no such stream.
    """
    where = streams.place(request)
    check_input("Sign", where, request.data, request.digested_data)
    uid, data = call.target.unique_identifier, request.data or b""
    parameters = usable.parameters(call.target, request.cryptographic_parameters)
    key = await usable.private_key(call, call.target)
    size = len(data) or len(request.digested_data or b"")
    await usage.spend(call, size, objects=where in {Place.WHOLE, Place.FIRST})
    if where is Place.WHOLE:
        signature = await _signature(call, key, data, parameters, request.digested_data)
        return SignResponse(unique_identifier=uid, signature_data=signature)
    part = await streams.step(call, Operation.SIGN, request, lambda: begin(key, parameters))
    if part.correlation_value is not None:
        return SignResponse(unique_identifier=uid, correlation_value=part.correlation_value)
    whole, digested = finished(part.work)
    signature = await _signature(call, key, whole, parameters, digested)
    return SignResponse(unique_identifier=uid, signature_data=signature)


def check_input(
    operation: str, where: Place, data: bytes | None, digested_data: bytes | None
) -> None:
    """Refuse a request that has no data, or data and a digest. Raises: KmipError."""
    if where is Place.WHOLE and data is None and digested_data is None:
        raise KmipError(ResultReason.MISSING_DATA, f"{operation}: there is no data")
    if digested_data is not None and (where is not Place.WHOLE or data is not None):
        raise KmipError(
            ResultReason.INVALID_MESSAGE,
            f"{operation}: DigestedData stands alone: with no Data, and not in parts",
        )


def begin(key: Any, parameters: CryptographicParameters | None) -> streams.Work:
    """Begin to take in the parts of what is to be signed or verified with `key`."""
    hashing = signatures.hash_of(key, parameters)
    if hashing is None:
        return streams.Collected()
    return streams.Absorbed(digest.context(hashing))


def finished(work: streams.Work) -> tuple[bytes, bytes | None]:
    """Return the whole message of a stream, or nothing and its digest."""
    result = work.finalize()
    return (result, None) if isinstance(work, streams.Collected) else (b"", result)


async def _signature(
    call: Call,
    key: Any,
    data: bytes,
    parameters: CryptographicParameters | None,
    digested: bytes | None,
) -> bytes:
    signs = functools.partial(signatures.sign, key, data, parameters, digested=digested)
    return await slow.run_with(call, key, len(data), signs)
