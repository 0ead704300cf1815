"""Signature Verify (KMIP 2.1 §6.1.56)."""

import functools
from typing import Annotated, Any

from kmsd.crypto import signatures
from kmsd.kmip.enums import ObjectType, Operation, ResultReason, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import sign, slow, streams, usable, verifying
from kmsd.operations.call import Call
from kmsd.operations.streams import Place
from kmsd.ttlv.schema import SECRET, Structure, Tagged


class SignatureVerify(Structure):
    """Request payload; some of the product's clients call the signature `Signature`."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
    digested_data: bytes | None = None
    signature_data: bytes | None = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None
    signature: Annotated[bytes | None, Tagged("Signature")] = None


class SignatureVerifyResponse(Structure):
    """Response payload; none of the algorithms recovers data from a signature."""

    unique_identifier: str
    validity_indicator: ValidityIndicator | None = None
    data: bytes | None = None
    correlation_value: bytes | None = None


async def signature_verify(call: Call, request: SignatureVerify) -> SignatureVerifyResponse:
    """Tell whether a signature is one of `data`, of its digest, or of all the parts of a stream.

    A wrong signature is an answer (Invalid) and no error.

    Raises:
        KmipError: there is no data or signature, the key and parameters do not go together, or
            there is no such stream.
    """
    where, signature = streams.place(request), request.signature_data or request.signature
    sign.check_input("SignatureVerify", where, request.data, request.digested_data)
    if signature is None and where in {Place.WHOLE, Place.LAST}:
        raise KmipError(ResultReason.MISSING_DATA, "SignatureVerify: there is no SignatureData")
    uid = call.target.unique_identifier
    parameters = usable.parameters(call.target, request.cryptographic_parameters)
    key = await _key(call)
    data, digested = request.data or b"", request.digested_data
    if where is not Place.WHOLE:
        part = await streams.step(
            call, Operation.SIGNATURE_VERIFY, request, lambda: sign.begin(key, parameters)
        )
        if part.correlation_value is not None:
            return SignatureVerifyResponse(
                unique_identifier=uid, correlation_value=part.correlation_value
            )
        data, digested = sign.finished(part.work)
    verify = functools.partial(
        signatures.verify, key, data, signature or b"", parameters, digested=digested
    )
    valid = await slow.run_with(call, key, len(data), verify)
    return SignatureVerifyResponse(
        unique_identifier=uid, validity_indicator=verifying.told(valid=valid)
    )


async def _key(call: Call) -> Any:
    """Return the public key that the target is, or has as its other half."""
    record = call.target
    if record.attributes.object_type is ObjectType.PRIVATE_KEY:
        return (await usable.private_key(call, record)).public_key()
    return await usable.public_key(call, record)
