"""MAC (KMIP 2.1 §6.1.32)."""

from typing import Annotated, NamedTuple

from kmsd.crypto import mac as macs
from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import slow, streams, usable, usage
from kmsd.operations.call import Call
from kmsd.operations.secret import secret
from kmsd.operations.streams import Place
from kmsd.ttlv.schema import SECRET, Structure


class MAC(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    cryptographic_parameters: CryptographicParameters | None = None
    data: Annotated[bytes | None, SECRET] = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None


class MACResponse(Structure):
    """Response payload."""

    unique_identifier: str
    mac_data: bytes | None = None
    correlation_value: bytes | None = None


class Keyed(NamedTuple):
    """A MAC with its key."""

    mac: macs.Mac
    key: bytes

    def __repr__(self) -> str:
        return f"<{self.mac.name}>"

    def compute(self, data: bytes) -> bytes:
        """Return the MAC of `data`."""
        return self.mac.compute(self.key, data)

    def begin(self) -> streams.Absorbed:
        """Begin a MAC in parts."""
        return streams.Absorbed(self.mac.context(self.key))


async def keyed(call: Call, wanted: CryptographicParameters | None) -> Keyed:
    """Return the MAC that the target and the parameters make.

    Raises:
        KmipError: they name none, or one that is not supported, or the object holds no key.
    """
    record = call.target
    parameters = usable.parameters(record, wanted)
    chosen = macs.select(record.attributes.cryptographic_algorithm, parameters)
    return Keyed(chosen, await secret(call, record))


async def mac(call: Call, request: MAC) -> MACResponse:
    """Return the MAC of `data`, or of all the parts of a stream.

    The product has no streams but chains: to its clients the MAC of a first part comes as the
    Correlation Value, and one that they send is the key of the next part.

    Raises:
        KmipError: there is no data, the key and parameters name no MAC, or no such stream.
    """
    where = streams.place(request)
    if request.data is None and where is Place.WHOLE:
        raise KmipError(ResultReason.MISSING_DATA, "MAC: there is no data")
    data = request.data or b""
    chosen = await keyed(call, request.cryptographic_parameters)
    await usage.spend(call, len(data), objects=where in {Place.WHOLE, Place.FIRST})
    if where is not Place.WHOLE and call.generation is Generation.KMIP:
        return await _part(call, request, chosen)
    if request.correlation_value is not None:
        chosen = chosen._replace(key=request.correlation_value)
    computed = await slow.run(call, len(data), chosen.compute, data)
    return _response(call, computed, last=where is not Place.FIRST)


async def _part(call: Call, request: MAC, chosen: Keyed) -> MACResponse:
    part = await streams.step(call, Operation.MAC, request, chosen.begin)
    if part.correlation_value is not None:
        return _response(call, part.correlation_value, last=False)
    return _response(call, part.work.finalize(), last=True)


def _response(call: Call, value: bytes, *, last: bool) -> MACResponse:
    return MACResponse(
        unique_identifier=call.target.unique_identifier,
        mac_data=value if last else None,
        correlation_value=None if last else value,
    )
