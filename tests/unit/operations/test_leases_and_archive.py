"""Obtain Lease, Archive and Recover."""

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import (
    DerivationMethod,
    HashingAlgorithm,
    ObjectType,
    ResultReason,
    RevocationReasonCode,
    SplitKeyMethod,
)
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import BY_OPERATION, OPERATIONS
from kmsd.operations.activate import Activate
from kmsd.operations.archive import Archive
from kmsd.operations.create_split_key import CreateSplitKey
from kmsd.operations.derive_key import DerivationParameters, DeriveKey
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.export import Export
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.mac import MAC
from kmsd.operations.mac_verify import MACVerify
from kmsd.operations.obtain_lease import LEASE_SECONDS, ObtainLease
from kmsd.operations.recover import Recover
from kmsd.ttlv.schema import Structure
from tests.server import NOW, Kms
from tests.using_keys import revoke

ensure = pytest_twisted.ensureDeferred
HMAC = CryptographicParameters(hashing_algorithm=HashingAlgorithm.SHA256)


@ensure  # type: ignore[untyped-decorator]
async def test_a_lease_tells_its_length_and_the_last_change(kms: Kms) -> None:
    """A client compares the date to know whether what it holds is still right."""
    await kms.key()
    lease = await kms(ObtainLease(unique_identifier="k"))
    assert (lease.lease_time, lease.last_change_date) == (LEASE_SECONDS, NOW)
    kms.clock.now = NOW + 50
    await revoke(kms, "k")
    kms.clock.now = NOW + 99
    lease = await kms(ObtainLease(unique_identifier="k"))
    assert lease.last_change_date == NOW + 50


@ensure  # type: ignore[untyped-decorator]
async def test_there_is_no_lease_on_what_is_compromised_or_gone(kms: Kms) -> None:
    """Nor for those who may not use the object."""
    await kms.key()
    lease = ObtainLease(unique_identifier="k")
    assert (await kms.by("mallory").refused(lease)).reason is ResultReason.OBJECT_NOT_FOUND
    await revoke(kms, "k", RevocationReasonCode.KEY_COMPROMISE)
    assert (await kms.refused(lease)).reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    await kms(Destroy(unique_identifier="k"))
    assert (await kms.refused(lease)).reason is ResultReason.OBJECT_DESTROYED


@pytest.mark.parametrize(
    "request_",
    [
        Get(unique_identifier="k"),
        Export(unique_identifier="k"),
        Activate(unique_identifier="k"),
        Archive(unique_identifier="k"),
        Encrypt(unique_identifier="k", data=b""),
        MAC(unique_identifier="k", data=b"", cryptographic_parameters=HMAC),
        MACVerify(unique_identifier="k", mac_data=b"", cryptographic_parameters=HMAC),
        ObtainLease(unique_identifier="k"),
        DeriveKey(
            object_type=ObjectType.SYMMETRIC_KEY,
            unique_identifier=("k",),
            derivation_method=DerivationMethod.HASH,
            derivation_parameters=DerivationParameters(),
            attributes=Attributes(cryptographic_algorithm=Algorithm.AES, cryptographic_length=128),
        ),
        CreateSplitKey(
            object_type=ObjectType.SPLIT_KEY,
            unique_identifier="k",
            split_key_parts=2,
            split_key_threshold=2,
            split_key_method=SplitKeyMethod.XOR,
            attributes=Attributes(),
        ),
    ],
    ids=lambda request: type(request).__name__,
)
@ensure  # type: ignore[untyped-decorator]
async def test_an_archived_object_is_not_to_be_had_until_it_is_recovered(
    kms: Kms, request_: Structure
) -> None:
    """Every operation that needs the object itself says so."""
    await kms.key()
    await kms(Archive(unique_identifier="k"))
    assert (await kms.refused(request_)).reason is ResultReason.OBJECT_ARCHIVED


@ensure  # type: ignore[untyped-decorator]
async def test_recovery_undoes_archival(kms: Kms) -> None:
    """The Archive Date comes and goes; the key is as it was; both can be done again."""
    await kms.key()
    for _ in range(2):
        await kms(Archive(unique_identifier="k"))
        answer = await kms(GetAttributes(unique_identifier="k"))
        assert answer.attributes.archive_date == NOW
        for _ in range(2):
            await kms(Recover(unique_identifier="k"))
        answer = await kms(GetAttributes(unique_identifier="k"))
        assert answer.attributes.archive_date is None
        await kms(Encrypt(unique_identifier="k", data=b""))


@ensure  # type: ignore[untyped-decorator]
async def test_an_archived_object_can_be_revoked_and_destroyed(kms: Kms) -> None:
    """Nobody has to fetch a key from the archive to be rid of it."""
    await kms.key()
    await kms(Archive(unique_identifier="k"))
    await revoke(kms, "k")
    await kms(Destroy(unique_identifier="k"))


@ensure  # type: ignore[untyped-decorator]
async def test_only_the_owner_or_a_grantee_archives_and_recovers(kms: Kms) -> None:
    """A right to get does not suffice."""
    await kms.key()
    await kms.store.grant("k", "bob", frozenset({"get"}))
    bob = kms.by("bob")
    assert (await bob.refused(Archive(unique_identifier="k"))).reason is (
        ResultReason.OBJECT_NOT_FOUND
    )
    await kms.store.grant("k", "bob", frozenset({"archive", "recover"}))
    await bob(Archive(unique_identifier="k"))
    await bob(Recover(unique_identifier="k"))


def test_the_rows_stand_in_the_order_of_the_enumeration() -> None:
    """The table reads like KMIP 2.1 §11.36, and no operation has two rows."""
    numbers = [row.operation.value for row in OPERATIONS]
    assert numbers == sorted(set(numbers))
    assert len(BY_OPERATION) == len(OPERATIONS)
