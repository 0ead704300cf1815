"""MAC Verify (KMIP 2.1 §6.1.33)."""

from typing import Annotated

from kmsd.kmip.enums import Operation, ResultReason, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import slow, streams, verifying
from kmsd.operations.call import Call
from kmsd.operations.mac import keyed
from kmsd.operations.streams import Place
from kmsd.ttlv.schema import SECRET, Structure


class MACVerify(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
    mac_data: bytes | None = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None


class MACVerifyResponse(Structure):
    """Response payload."""

    unique_identifier: str
    validity_indicator: ValidityIndicator | None = None
    correlation_value: bytes | None = None


async def mac_verify(call: Call, request: MACVerify) -> MACVerifyResponse:
    """Tell whether `mac_data` is the MAC of `data`, or of all the parts of a stream.

    A wrong MAC is an answer (Invalid) and no error. A shortened one is accepted down to half its
    length, and 80 bits at least (RFC 2104 §5).

    Raises:
        KmipError: there is no MAC, the key and parameters name none, or no such stream.
    """
    where = streams.place(request)
    if request.mac_data is None and where in {Place.WHOLE, Place.LAST}:
        raise KmipError(ResultReason.MISSING_DATA, "MACVerify: there is no MACData to verify")
    uid, data = call.target.unique_identifier, request.data or b""
    chosen = await keyed(call, request.cryptographic_parameters)
    if where is Place.WHOLE:
        computed = await slow.run(call, len(data), chosen.compute, data)
    else:
        part = await streams.step(call, Operation.MAC_VERIFY, request, chosen.begin)
        if part.correlation_value is not None:
            return MACVerifyResponse(
                unique_identifier=uid, correlation_value=part.correlation_value
            )
        computed = part.work.finalize()
    valid = chosen.mac.matches(computed, request.mac_data or b"")
    return MACVerifyResponse(unique_identifier=uid, validity_indicator=verifying.told(valid=valid))
