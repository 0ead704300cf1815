"""What the server itself says of every new object, by the book (KMIP 2.1 §4)."""

import hashlib

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    DRBGAlgorithm,
    ProtectionStorageMask,
    ResultReason,
    RNGAlgorithm,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import RandomNumberGenerator, UsageLimits
from kmsd.kmip.versions import TWO, Version

GENERATOR = RandomNumberGenerator(
    rng_algorithm=RNGAlgorithm.DRBG,
    cryptographic_algorithm=CryptographicAlgorithm.AES,
    cryptographic_length=256,
    drbg_algorithm=DRBGAlgorithm.CTR,
    prediction_resistance=False,
)
"""OpenSSL's generator (NIST SP 800-90A CTR_DRBG), which the server's keys come from."""
LEASE_SECONDS = 3_600
_POLICY = "default"
"""The one policy there is; KMIP 2.0 knows none (1.4 §3.18)."""

_QUANTUM_SAFE_BITS = 256
_QUANTUM_SAFE = ("AES", "CHACHA", "ML_", "SLH_", "HMAC_SHA", "SHA", "XMSS", "SPHINCS", "COVER")
"""How the names of algorithms begin that withstand quantum computers, at 256 bits if symmetric."""


def given(
    attributes: Attributes, unique_identifier: str, version: Version, *, received: bool
) -> dict[str, object]:
    """Return the attributes that the server sets on a new object.

    `received` tells an object that a client sent from one that the server made.
    """
    generator = attributes.random_number_generator
    policy = attributes.operation_policy_name
    return {
        "operation_policy_name": policy or (_POLICY if version < TWO else None),
        "fresh": attributes.fresh is not False,
        "lease_time": attributes.lease_time or LEASE_SECONDS,
        "protection_storage_mask": ProtectionStorageMask.SOFTWARE,
        "random_number_generator": generator if received else GENERATOR,
        "short_unique_identifier": hashlib.sha256(unique_identifier.encode()).digest(),
        "usage_limits": counted(attributes.usage_limits),
    }


def counted(limits: UsageLimits | None) -> UsageLimits | None:
    """Start the count at the total (KMIP 2.1 §4.59)."""
    if limits is None or limits.usage_limits_count is not None:
        return limits
    return UsageLimits(
        usage_limits_total=limits.usage_limits_total,
        usage_limits_count=limits.usage_limits_total,
        usage_limits_unit=limits.usage_limits_unit,
    )


def check_quantum_safe(attributes: Attributes) -> None:
    """Refuse a key that must withstand quantum computers and would not (KMIP 2.1 §4.45).

    Raises:
        KmipError: GENERAL_FAILURE, as the profiles want it.
    """
    algorithm = attributes.cryptographic_algorithm
    if not attributes.quantum_safe or algorithm is None:
        return
    safe = algorithm.name.startswith(_QUANTUM_SAFE)
    symmetric = algorithm in {CryptographicAlgorithm.AES, CryptographicAlgorithm.CHACHA20}
    if symmetric and (attributes.cryptographic_length or 0) < _QUANTUM_SAFE_BITS:
        safe = False
    if not safe:
        raise KmipError(
            ResultReason.GENERAL_FAILURE,
            f"{algorithm.wire_name} of this length is not quantum safe: use AES-256 or ML-KEM",
        )
