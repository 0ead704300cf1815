"""Keys for tests of operations: pairs that the server makes, keys that the test knows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    CryptographicUsageMask,
    KeyFormatType,
    ObjectType,
    RecommendedCurve,
    RevocationReasonCode,
    SecretDataType,
)
from kmsd.kmip.objects import KeyBlock, KeyValue, SecretData, SymmetricKey
from kmsd.kmip.structures import CryptographicDomainParameters, RevocationReason
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.get import Get
from kmsd.operations.register import Register
from kmsd.operations.revoke import Revoke
from tests.server import Kms

ANYTHING = CryptographicUsageMask.UNRESTRICTED


async def pair(
    kms: Kms,
    algorithm: CryptographicAlgorithm,
    bits: int | None = None,
    curve: RecommendedCurve | None = None,
    *,
    uid: str = "p",
    private: Mapping[str, Any] = MappingProxyType({}),
    public: Mapping[str, Any] = MappingProxyType({}),
    **attributes: Any,
) -> tuple[str, str]:
    """Create an Active pair that may do anything; return the identifiers, private first."""
    values: dict[str, Any] = {
        "cryptographic_algorithm": algorithm,
        "cryptographic_length": bits,
        "cryptographic_usage_mask": ANYTHING,
        "activation_date": int(kms.clock.now) - 10,
    } | attributes
    if curve is not None:
        domain = CryptographicDomainParameters(recommended_curve=curve)
        values["cryptographic_domain_parameters"] = domain
    answer = await kms(
        CreateKeyPair(
            common_attributes=Attributes(**values),
            private_key_attributes=Attributes(unique_identifier=uid, **private),
            public_key_attributes=Attributes(**public),
        )
    )
    return answer.private_key_unique_identifier, answer.public_key_unique_identifier


async def known(
    kms: Kms,
    key: bytes,
    algorithm: CryptographicAlgorithm = CryptographicAlgorithm.AES,
    *,
    uid: str = "k",
    **attributes: Any,
) -> str:
    """Register an Active symmetric key of which the test knows the bytes."""
    block = _block(key, algorithm)
    return await _registered(
        kms, ObjectType.SYMMETRIC_KEY, SymmetricKey(key_block=block), uid, attributes
    )


async def known_secret(kms: Kms, secret: bytes, *, uid: str = "s", **attributes: Any) -> str:
    """Register Active secret data of which the test knows the bytes."""
    made = SecretData(secret_data_type=SecretDataType.PASSWORD, key_block=_block(secret, None))
    return await _registered(kms, ObjectType.SECRET_DATA, made, uid, attributes)


def _block(key: bytes, algorithm: CryptographicAlgorithm | None) -> KeyBlock:
    return KeyBlock(
        key_format_type=KeyFormatType.RAW,
        key_value=KeyValue(key_material=key),
        cryptographic_algorithm=algorithm,
        cryptographic_length=len(key) * 8,
    )


async def _registered(
    kms: Kms, kind: ObjectType, managed_object: Any, uid: str, attributes: dict[str, Any]
) -> str:
    values: dict[str, Any] = {
        "unique_identifier": uid,
        "cryptographic_usage_mask": ANYTHING,
        "activation_date": int(kms.clock.now) - 10,
    } | attributes
    await kms(
        Register(object_type=kind, attributes=Attributes(**values), managed_object=managed_object)
    )
    return uid


async def material(kms: Kms, uid: str) -> bytes:
    """Return the bytes of a key, as Get tells them."""
    answer = await kms(Get(unique_identifier=uid))
    found = answer.managed_object.key_block.key_value.key_material
    assert isinstance(found, bytes)
    return found


async def revoke(
    kms: Kms, uid: str, code: RevocationReasonCode = RevocationReasonCode.UNSPECIFIED
) -> None:
    """Revoke an object."""
    reason = RevocationReason(revocation_reason_code=code)
    await kms(Revoke(unique_identifier=uid, revocation_reason=reason))
