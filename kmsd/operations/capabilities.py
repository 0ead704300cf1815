"""What the server says of itself beyond its operations and objects (KMIP 2.1 §7.5, §7.31)."""

import msgspec

from kmsd.kmip.enums import (
    DestroyAction,
    ProfileName,
    ProtectionStorageMask,
    RNGMode,
    ShreddingAlgorithm,
    UnwrapMode,
)
from kmsd.kmip.structures import (
    CapabilityInformation,
    ProfileInformation,
    ProtectionStorageMasks,
    RNGParameters,
)
from kmsd.kmip.versions import TWO, Version
from kmsd.operations.server_attributes import GENERATOR

CAPABILITIES = CapabilityInformation(
    streaming_capability=True,
    asynchronous_capability=True,
    attestation_capability=False,
    batch_undo_capability=True,
    batch_continue_capability=True,
    unwrap_mode=UnwrapMode.PROCESSED,
    destroy_action=DestroyAction.KEY_MATERIAL_DELETED,
    shredding_algorithm=ShreddingAlgorithm.UNSUPPORTED,
    rng_mode=RNGMode.SHARED_INSTANTIATION,
    quantum_safe_capability=True,
)
RNG = RNGParameters(**msgspec.structs.asdict(GENERATOR))
STORAGE = ProtectionStorageMasks(protection_storage_mask=(ProtectionStorageMask.SOFTWARE,))


def profiles(version: Version) -> tuple[ProfileInformation, ...]:
    """Return the profiles that the server conforms to, by the names that a version has for them."""
    named = "2.0" if version >= TWO else f"{version[0]}.{version[1]}"
    return tuple(
        ProfileInformation(profile_name=name) for name in ProfileName if name.since == named
    )
