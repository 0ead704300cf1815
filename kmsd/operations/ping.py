"""Ping (KMIP 2.1 §6.1.36)."""

from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure


class Ping(Structure):
    """Request payload: empty."""


class PingResponse(Structure):
    """Response payload: empty."""


async def ping(_call: Call, _request: Ping) -> PingResponse:
    """Answer, to show that the server is there."""
    return PingResponse()
