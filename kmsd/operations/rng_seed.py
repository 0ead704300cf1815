"""RNG Seed (KMIP 2.1 §6.1.50)."""

from typing import Annotated

from kmsd.kmip.generations import Generation
from kmsd.operations.call import Call
from kmsd.operations.rng_retrieve import RNG
from kmsd.ttlv.schema import SECRET, Structure, Tagged


class RNGSeed(Structure):
    """Request payload."""

    data: Annotated[bytes, SECRET]


class RNGSeedResponse(Structure):
    """Response payload; lengths in bytes. The product has a name of its own for the field."""

    data_length: int | None = None
    amount_of_seed_data: Annotated[int | None, Tagged("AmountOfSeedData")] = None


async def rng_seed(call: Call, request: RNGSeed) -> RNGSeedResponse:
    """Mix `data` into the generator: it cannot make what comes out easier to guess."""
    taken = RNG.seed(request.data)
    if call.generation is Generation.KMIP:
        return RNGSeedResponse(data_length=taken)
    return RNGSeedResponse(amount_of_seed_data=taken)
