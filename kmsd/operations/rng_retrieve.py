"""RNG Retrieve (KMIP 2.1 §6.1.49)."""

from typing import Annotated

from kmsd.crypto.rng import Rng
from kmsd.operations.call import Call
from kmsd.ttlv.schema import SECRET, Structure

RNG = Rng()
"""The generator of this process; RNG Seed mixes into it."""


class RNGRetrieve(Structure):
    """Request payload; `data_length` in bytes."""

    data_length: int


class RNGRetrieveResponse(Structure):
    """Response payload."""

    data: Annotated[bytes, SECRET]


async def rng_retrieve(_call: Call, request: RNGRetrieve) -> RNGRetrieveResponse:
    """Return random bytes.

    Raises:
        KmipError: more than 64 KiB are asked for, or less than none.
    """
    return RNGRetrieveResponse(data=RNG.retrieve(request.data_length))
