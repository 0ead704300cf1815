"""RNG Seed (KMIP 2.1 §6.1.50)."""

from typing import Annotated

from kmsd.operations.call import Call
from kmsd.operations.rng_retrieve import RNG
from kmsd.ttlv.schema import SECRET, Structure


class RNGSeed(Structure):
    """Request payload."""

    data: Annotated[bytes, SECRET]


class RNGSeedResponse(Structure):
    """Response payload; `data_length` in bytes."""

    data_length: int


async def rng_seed(_call: Call, request: RNGSeed) -> RNGSeedResponse:
    """Mix `data` into the generator: it cannot make what comes out easier to guess."""
    return RNGSeedResponse(data_length=RNG.seed(request.data))
