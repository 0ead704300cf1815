"""Check (KMIP 2.1 §6.1.7)."""

from kmsd.kmip.enums import CryptographicUsageMask, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Call
from kmsd.ttlv.schema import Interval, LongInteger, Structure


class Check(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    usage_limits_count: LongInteger | None = None
    cryptographic_usage_mask: CryptographicUsageMask | None = None
    lease_time: Interval | None = None


class CheckResponse(Structure):
    """Response payload: what was asked for and would not be allowed, beside the identifier."""

    unique_identifier: str
    usage_limits_count: LongInteger | None = None
    cryptographic_usage_mask: CryptographicUsageMask | None = None
    lease_time: Interval | None = None


async def check(call: Call, request: Check) -> CheckResponse:
    """Tell whether a use of the object would be allowed, without using it.

    Raises:
        KmipError: the usage mask or the usage limits do not allow it.
    """
    attributes = call.target.attributes
    wanted = request.cryptographic_usage_mask
    mask = attributes.cryptographic_usage_mask or CryptographicUsageMask(0)
    if wanted is not None and not mask & CryptographicUsageMask.UNRESTRICTED and wanted & ~mask:
        raise KmipError(
            ResultReason.INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK,
            "the usage mask of the object does not allow this",
        )
    limits = attributes.usage_limits
    count = request.usage_limits_count
    if count is not None and limits is not None:
        left = limits.usage_limits_total
        if limits.usage_limits_count is not None:
            left = limits.usage_limits_count
        if left < count:
            raise KmipError(
                ResultReason.USAGE_LIMIT_EXCEEDED, f"the usage limits leave {left} for use"
            )
    return CheckResponse(unique_identifier=call.target.unique_identifier)
