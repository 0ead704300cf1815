"""The life of an object: states, dates, revocation, destruction."""

import pytest
import pytest_twisted

from kmsd.kmip import enums
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.enums import KeyFormatType, ResultReason, RevocationReasonCode, State
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicDomainParameters, RevocationReason
from kmsd.operations.activate import Activate
from kmsd.operations.check import Check
from kmsd.operations.create import Create
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.revoke import Revoke
from tests.server import NOW, Kms

UNSPECIFIED = RevocationReason(revocation_reason_code=RevocationReasonCode.UNSPECIFIED)
COMPROMISE = RevocationReason(revocation_reason_code=RevocationReasonCode.KEY_COMPROMISE)

ensure = pytest_twisted.ensureDeferred


async def state(kms: Kms, uid: str = "k") -> State:
    """Return the state that Get Attributes tells."""
    answer = await kms(GetAttributes(unique_identifier=uid))
    assert answer.attributes.state is not None
    return State(answer.attributes.state)


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_is_pre_active_until_its_activation_date(kms: Kms) -> None:
    """Nobody has to do anything for a date to take effect."""
    await kms.key(activation_date=NOW + 100, deactivation_date=NOW + 200)
    seen = []
    for now in (NOW, NOW + 99, NOW + 100, NOW + 199, NOW + 200):
        kms.clock.now = now
        seen.append(await state(kms))
    assert seen == [
        State.PRE_ACTIVE,
        State.PRE_ACTIVE,
        State.ACTIVE,
        State.ACTIVE,
        State.DEACTIVATED,
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_key_is_born_active(kms: Kms) -> None:
    """The product's 4.x clients never activate anything."""
    await kms.as_(Generation.V4).key(activation_date=None)
    assert await state(kms) is State.ACTIVE


@ensure  # type: ignore[untyped-decorator]
async def test_activate_works_once_and_from_pre_active_only(kms: Kms) -> None:
    """Activation sets the date; a second one is refused, as is one after revocation."""
    await kms.key(activation_date=None)
    await kms(Activate(unique_identifier="k"))
    answer = await kms(GetAttributes(unique_identifier="k"))
    assert answer.attributes.activation_date == NOW
    assert "already" in (await kms.refused(Activate(unique_identifier="k"))).message
    await kms(Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED))
    error = await kms.refused(Activate(unique_identifier="k"))
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@pytest.mark.parametrize(
    ("reason", "after"),
    [(UNSPECIFIED, State.DEACTIVATED), (COMPROMISE, State.COMPROMISED)],
    ids=["deactivated", "compromised"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_revoked_key_processes_but_never_protects(
    kms: Kms, reason: RevocationReason, after: State
) -> None:
    """What it encrypted it still decrypts; it encrypts nothing more (SP 800-57)."""
    await kms.key()
    sealed = await kms(Encrypt(unique_identifier="k", data=b"plain"))
    await kms(Revoke(unique_identifier="k", revocation_reason=reason))
    assert await state(kms) is after
    opened = await kms(
        Decrypt(
            unique_identifier="k",
            data=sealed.data,
            iv_counter_nonce=sealed.iv_counter_nonce,
            authenticated_encryption_tag=sealed.authenticated_encryption_tag,
        )
    )
    assert opened.data == b"plain"
    error = await kms.refused(Encrypt(unique_identifier="k", data=b"more"))
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_client_finds_no_revoked_key(kms: Kms) -> None:
    """To it a key that may not be used is not there, and cannot be revoked again."""
    old = kms.as_(Generation.V4)
    await old.key()
    await old(Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED))
    for request in (
        Get(unique_identifier="k"),
        Encrypt(unique_identifier="k", data=b""),
        Decrypt(unique_identifier="k", data=b""),
    ):
        assert (await old.refused(request)).reason is ResultReason.OBJECT_NOT_FOUND
    error = await old.refused(Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED))
    assert error.reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_revoking_again_changes_nothing(kms: Kms) -> None:
    """A deactivated key stays deactivated, and can still be marked compromised."""
    await kms.key()
    for reason, after in (
        (UNSPECIFIED, State.DEACTIVATED),
        (UNSPECIFIED, State.DEACTIVATED),
        (COMPROMISE, State.COMPROMISED),
        (UNSPECIFIED, State.COMPROMISED),
    ):
        await kms(Revoke(unique_identifier="k", revocation_reason=reason))
        assert await state(kms) is after
    answer = await kms(GetAttributes(unique_identifier="k"))
    assert answer.attributes.compromise_date == NOW


@ensure  # type: ignore[untyped-decorator]
async def test_an_active_key_is_not_destroyed(kms: Kms) -> None:
    """It must be revoked first; then its material is gone and its attributes stay."""
    await kms.key()
    error = await kms.refused(Destroy(unique_identifier="k"))
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    assert "DENIED" in error.message
    await kms(Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED))
    await kms(Destroy(unique_identifier="k"))
    assert await state(kms) is State.DESTROYED
    record = await kms.store.get("k")
    assert record is not None
    assert record.managed_object is None
    assert (await kms.refused(Get(unique_identifier="k"))).reason is ResultReason.OBJECT_DESTROYED


@ensure  # type: ignore[untyped-decorator]
async def test_a_destroyed_key_can_still_become_known_as_compromised(kms: Kms) -> None:
    """Destroyed → Destroyed Compromised, and Compromised → the same."""
    for uid, first, second in (("a", UNSPECIFIED, COMPROMISE), ("b", COMPROMISE, None)):
        await kms.key(uid)
        await kms(Revoke(unique_identifier=uid, revocation_reason=first))
        await kms(Destroy(unique_identifier=uid))
        if second is not None:
            await kms(Revoke(unique_identifier=uid, revocation_reason=second))
        assert await state(kms, uid) is State.DESTROYED_COMPROMISED


@ensure  # type: ignore[untyped-decorator]
async def test_remove_takes_the_attributes_too(kms: Kms) -> None:
    """The product's extension: nothing of the object is left."""
    await kms.key(activation_date=None)
    await kms(Destroy(unique_identifier="k", remove=True))
    error = await kms.refused(GetAttributes(unique_identifier="k"))
    assert error.reason is ResultReason.OBJECT_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_destroy_guards_against_the_wrong_type(kms: Kms) -> None:
    """Expected Object Type refuses before anything is lost."""
    await kms.key(activation_date=None)
    request = Destroy(unique_identifier="k", expected_object_type=enums.ObjectType.PRIVATE_KEY)
    assert (await kms.refused(request)).reason is ResultReason.INVALID_OBJECT_TYPE
    assert await state(kms) is State.PRE_ACTIVE


@ensure  # type: ignore[untyped-decorator]
async def test_a_pair_is_revoked_and_destroyed_together(kms: Kms) -> None:
    """Unless the request says that only one half is meant."""
    pair = CreateKeyPair(
        common_attributes=Attributes(
            cryptographic_algorithm=enums.CryptographicAlgorithm.EC,
            cryptographic_domain_parameters=CryptographicDomainParameters(
                recommended_curve=enums.RecommendedCurve.P256
            ),
            activation_date=NOW,
        ),
        private_key_attributes=Attributes(unique_identifier="p"),
    )
    made = await kms(pair)
    assert (made.private_key_unique_identifier, made.public_key_unique_identifier) == ("p", "p_pk")
    await kms(Revoke(unique_identifier="p", revocation_reason=UNSPECIFIED, cascade=False))
    assert [await state(kms, uid) for uid in ("p", "p_pk")] == [State.DEACTIVATED, State.ACTIVE]
    await kms(Revoke(unique_identifier="p_pk", revocation_reason=COMPROMISE))
    assert [await state(kms, uid) for uid in ("p", "p_pk")] == [State.COMPROMISED] * 2
    await kms(Destroy(unique_identifier="p"))
    assert [await state(kms, uid) for uid in ("p", "p_pk")] == [State.DESTROYED_COMPROMISED] * 2


@ensure  # type: ignore[untyped-decorator]
async def test_process_start_and_protect_stop_bound_the_use(kms: Kms) -> None:
    """A key protects only between the two dates, whatever its state."""
    await kms.key(process_start_date=NOW + 10, protect_stop_date=NOW + 20)
    for now, works in ((NOW, False), (NOW + 10, True), (NOW + 19, True), (NOW + 20, False)):
        kms.clock.now = now
        request = Encrypt(unique_identifier="k", data=b"x")
        if works:
            await kms(request)
        else:
            error = await kms.refused(request)
            assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_the_usage_mask_decides_what_a_key_is_for(kms: Kms) -> None:
    """A key without Encrypt in its mask does not encrypt, and Check says so beforehand."""
    await kms.key(cryptographic_usage_mask=Mask.DECRYPT)
    refused = ResultReason.INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK
    assert (await kms.refused(Encrypt(unique_identifier="k", data=b""))).reason is refused
    check = Check(unique_identifier="k", cryptographic_usage_mask=Mask.ENCRYPT | Mask.DECRYPT)
    assert (await kms.refused(check)).reason is refused
    assert await kms(Check(unique_identifier="k", cryptographic_usage_mask=Mask.DECRYPT))


@ensure  # type: ignore[untyped-decorator]
async def test_an_identifier_is_taken_once(kms: Kms) -> None:
    """The second Create under one identifier fails and leaves the first as it was."""
    await kms.key()
    first = await kms(Get(unique_identifier="k", key_format_type=KeyFormatType.RAW))
    with pytest.raises(Exception, match="k") as failed:
        await kms.key()
    assert failed.value.reason is ResultReason.OBJECT_ALREADY_EXISTS  # type: ignore[attr-defined]
    assert await kms(Get(unique_identifier="k", key_format_type=KeyFormatType.RAW)) == first


@pytest.mark.parametrize("bits", [0, -8, 100, 1 << 20], ids=str)
@ensure  # type: ignore[untyped-decorator]
async def test_impossible_lengths_are_refused(kms: Kms, bits: int) -> None:
    """The message names the length."""
    attributes = Attributes(
        cryptographic_algorithm=enums.CryptographicAlgorithm.AES, cryptographic_length=bits
    )
    request = Create(object_type=enums.ObjectType.SYMMETRIC_KEY, attributes=attributes)
    assert "length" in (await kms.refused(request)).message
