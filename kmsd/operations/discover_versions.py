"""Discover Versions (KMIP 2.1 §6.1.16)."""

from kmsd.kmip.structures import ProtocolVersion
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Structure

VERSIONS = ((2, 1), (2, 0), (1, 4), (1, 3), (1, 2), (1, 1), (1, 0))
"""What the server speaks, what it prefers first."""


class DiscoverVersions(Structure):
    """Request payload."""

    protocol_version: tuple[ProtocolVersion, ...] = ()


class DiscoverVersionsResponse(Structure):
    """Response payload."""

    protocol_version: tuple[ProtocolVersion, ...] = ()


async def discover_versions(_call: Call, request: DiscoverVersions) -> DiscoverVersionsResponse:
    """Return the versions that both speak, the server's favourite first; all when none is named."""
    ours = [
        ProtocolVersion(protocol_version_major=major, protocol_version_minor=minor)
        for major, minor in VERSIONS
    ]
    theirs = request.protocol_version
    return DiscoverVersionsResponse(
        protocol_version=tuple(each for each in ours if not theirs or each in theirs)
    )
