"""Get Usage Allocation (KMIP 2.1 §6.1.23)."""

from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import usage
from kmsd.operations.call import Call
from kmsd.operations.target import allows
from kmsd.ttlv.schema import LongInteger, Structure

_PROTECTS = Mask.ENCRYPT | Mask.SIGN | Mask.MAC_GENERATE | Mask.WRAP_KEY


class GetUsageAllocation(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    usage_limits_count: LongInteger


class GetUsageAllocationResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def get_usage_allocation(
    call: Call, request: GetUsageAllocation
) -> GetUsageAllocationResponse:
    """Take units from an object's usage limits for the caller to use up on its own side.

    Raises:
        KmipError: the object has no usage limits, cannot protect anything, or has not so much left.
    """
    record, count = call.target, request.usage_limits_count
    uid = record.unique_identifier
    if count <= 0:
        raise KmipError(ResultReason.INVALID_FIELD, "ask for a UsageLimitsCount of 1 at least")
    if record.attributes.usage_limits is None:
        raise KmipError(ResultReason.ATTRIBUTE_NOT_FOUND, f"{uid} has no usage limits")
    if not allows(record, _PROTECTS):
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE, f"{uid} is not a key that encrypts, signs or wraps"
        )
    await usage.take(call, count, ResultReason.USAGE_LIMIT_EXCEEDED)
    return GetUsageAllocationResponse(unique_identifier=uid)
