"""Obtain Lease (KMIP 2.1 §6.1.35)."""

from kmsd.operations.call import Call
from kmsd.ttlv.schema import DateTime, Interval, Structure

LEASE_SECONDS = 3_600
"""How long a client may use what it has of an object before it asks again, where nothing says."""


class ObtainLease(Structure):
    """Request payload."""

    unique_identifier: str | None = None


class ObtainLeaseResponse(Structure):
    """Response payload."""

    unique_identifier: str
    lease_time: Interval
    last_change_date: DateTime


async def obtain_lease(call: Call, _request: ObtainLease) -> ObtainLeaseResponse:
    """Let the caller use what it holds of an object for a while, and say when it last changed.

    The object's row keeps leases from objects that are compromised or destroyed.
    """
    attributes = call.target.attributes
    lease = attributes.lease_time
    return ObtainLeaseResponse(
        unique_identifier=call.target.unique_identifier,
        lease_time=LEASE_SECONDS if lease is None else lease,
        last_change_date=attributes.last_change_date or attributes.initial_date or call.now,
    )
