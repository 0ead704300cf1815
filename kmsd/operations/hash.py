"""Hash (KMIP 2.1 §6.1.24)."""

from typing import Annotated

from kmsd.crypto import digest
from kmsd.kmip.enums import HashingAlgorithm, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import slow, streams
from kmsd.operations.call import Call
from kmsd.operations.streams import Place
from kmsd.ttlv.schema import SECRET, Structure


class Hash(Structure):
    """Request payload."""

    cryptographic_parameters: CryptographicParameters
    data: Annotated[bytes | None, SECRET] = None
    correlation_value: bytes | None = None
    init_indicator: bool | None = None
    final_indicator: bool | None = None


class HashResponse(Structure):
    """Response payload."""

    data: bytes | None = None
    correlation_value: bytes | None = None


async def hash_(call: Call, request: Hash) -> HashResponse:
    """Return the digest of `data`, or of all the parts of a stream.

    The product has no streams but chains: to its clients the digest of a first part comes as the
    Correlation Value, and one that they send is hashed before the data.

    Raises:
        KmipError: there is no data, no hash function or none of that name, or no such stream.
    """
    algorithm = request.cryptographic_parameters.hashing_algorithm
    if algorithm is None:
        raise KmipError(
            ResultReason.INVALID_MESSAGE, "Hash: name a HashingAlgorithm in the parameters"
        )
    where = streams.place(request)
    if where is not Place.WHOLE and call.generation is Generation.KMIP:
        return await _part(call, request, algorithm)
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "Hash: there is no data to hash")
    data = (request.correlation_value or b"") + request.data
    digested = await slow.run(call, len(data), digest.digest, algorithm, data)
    if where is Place.FIRST:
        return HashResponse(correlation_value=digested)
    return HashResponse(data=digested)


async def _part(call: Call, request: Hash, algorithm: HashingAlgorithm) -> HashResponse:
    part = await streams.step(
        call, Operation.HASH, request, lambda: streams.Absorbed(digest.context(algorithm))
    )
    if part.correlation_value is not None:
        return HashResponse(correlation_value=part.correlation_value)
    return HashResponse(data=part.work.finalize())
