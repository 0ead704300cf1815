"""Key sets: one name for a key and its successors."""

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BlockCipherMode,
    CryptographicAlgorithm,
    KeyWrapType,
    ObjectType,
    RecommendedCurve,
    ResultReason,
    State,
)
from kmsd.kmip.structures import Attribute, CryptographicParameters
from kmsd.operations.create import Create
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt, EncryptResponse
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.mac import MAC
from kmsd.operations.mac_verify import MACVerify
from kmsd.operations.rekey import ReKey
from kmsd.operations.rekey_key_pair import ReKeyKeyPair
from kmsd.operations.set_attribute import SetAttribute
from kmsd.operations.sign import Sign
from kmsd.operations.signature_verify import SignatureVerify
from kmsd.ttlv import Item, ItemType
from tests.server import Kms
from tests.using_keys import pair, revoke

ensure = pytest_twisted.ensureDeferred
GCM = CryptographicParameters(block_cipher_mode=BlockCipherMode.GCM)


async def key_set(kms: Kms, generations: int = 1, name: str = "set") -> list[str]:
    """Make a key set of AES keys; return its identifiers, oldest first."""
    uids = [await kms.key(name, rotate_name=name)]
    for _ in range(generations - 1):
        answer = await kms(ReKey(unique_identifier=name))
        uids.append(answer.unique_identifier)
    return uids


async def sealed(kms: Kms, uid: str, data: bytes = b"text") -> EncryptResponse:
    """Encrypt."""
    answer = await kms(Encrypt(unique_identifier=uid, data=data))
    assert isinstance(answer, EncryptResponse)
    return answer


def opening(uid: str, message: EncryptResponse) -> Decrypt:
    """Return the request that decrypts a message."""
    return Decrypt(
        unique_identifier=uid,
        data=message.data,
        iv_counter_nonce=message.iv_counter_nonce,
        authenticated_encryption_tag=message.authenticated_encryption_tag,
    )


async def attributes_of(kms: Kms, uid: str) -> Attributes:
    answer = await kms(GetAttributes(unique_identifier=uid))
    assert isinstance(answer.attributes, Attributes)
    return answer.attributes


@ensure  # type: ignore[untyped-decorator]
async def test_generations_are_numbered(kms: Kms) -> None:
    """Identifiers, generation numbers and the flag of the latest follow from the order."""
    uids = await key_set(kms, 3)
    assert uids == ["set", "set@1", "set@2"]
    found = [await attributes_of(kms, uid) for uid in uids]
    assert [each.rotate_generation for each in found] == [0, 1, 2]
    assert [each.rotate_latest for each in found] == [False, False, True]
    assert {each.rotate_name for each in found} == {"set"}
    assert found[2].rotate_date == int(kms.clock.now)


@pytest.mark.parametrize(
    ("named", "meant"),
    [("set@first", 0), ("set@0", 0), ("set@1", 1), ("set@2", 2), ("set@latest", 2), ("set", 0)],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_version_names_one_generation_for_every_operation(
    kms: Kms, named: str, meant: int
) -> None:
    """A name with a version is that key; the bare name is the first one's identifier."""
    uids = await key_set(kms, 3)
    answer = await kms(GetAttributes(unique_identifier=named))
    assert answer.unique_identifier == uids[meant]


@pytest.mark.parametrize("named", ["set@3", "set@99", "other@latest", "set@", "set@x", "@first"])
@ensure  # type: ignore[untyped-decorator]
async def test_what_is_no_generation_is_not_found(kms: Kms, named: str) -> None:
    """There is no next best generation."""
    await key_set(kms, 2)
    error = await kms.refused(Encrypt(unique_identifier=named, data=b"text"))
    assert error.reason is ResultReason.ITEM_NOT_FOUND
    assert "not found" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_the_bare_name_protects_under_the_newest_key(kms: Kms) -> None:
    """Encrypt by name uses the successor, and says which."""
    await key_set(kms, 3)
    assert (await sealed(kms, "set")).unique_identifier == "set@2"


@ensure  # type: ignore[untyped-decorator]
async def test_the_bare_name_opens_what_any_generation_sealed(kms: Kms) -> None:
    """Decrypt by name tries the keys in turn; by version it tries that one only."""
    await key_set(kms)
    old = await sealed(kms, "set")
    await kms(ReKey(unique_identifier="set"))
    new = await sealed(kms, "set")
    for message in (old, new):
        assert (await kms(opening("set", message))).data == b"text"
    assert (await kms(opening("set@first", old))).data == b"text"
    error = await kms.refused(opening("set@latest", old))
    assert error.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@ensure  # type: ignore[untyped-decorator]
async def test_a_forgery_is_refused_by_all_generations_in_one_voice(kms: Kms) -> None:
    """What no key fits fails like with one key."""
    await key_set(kms, 3)
    message = await sealed(kms, "set")
    forged = Decrypt(
        unique_identifier="set",
        data=b"x" + (message.data or b"")[1:],
        iv_counter_nonce=message.iv_counter_nonce,
        authenticated_encryption_tag=message.authenticated_encryption_tag,
    )
    several = await kms.refused(forged)
    one = await kms.refused(opening("set@first", message))
    assert (several.reason, several.message) == (one.reason, one.message)


@ensure  # type: ignore[untyped-decorator]
async def test_until_the_newest_is_active_the_one_before_protects(kms: Kms) -> None:
    """A rotation ahead of time leaves no gap."""
    await key_set(kms)
    await kms(ReKey(unique_identifier="set", offset=60))
    assert (await sealed(kms, "set")).unique_identifier == "set"
    kms.clock.now += 60
    assert (await sealed(kms, "set")).unique_identifier == "set@1"


@ensure  # type: ignore[untyped-decorator]
async def test_rekey_by_name_rotates_the_latest_and_by_version_only_that(kms: Kms) -> None:
    """An older generation cannot have a second successor."""
    await key_set(kms, 2)
    answer = await kms(ReKey(unique_identifier="set"))
    assert answer.unique_identifier == "set@2"
    for stale in ("set@0", "set@1"):
        error = await kms.refused(ReKey(unique_identifier=stale))
        assert "not the latest" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_revoke_and_destroy_mean_the_one_key_that_is_named(kms: Kms) -> None:
    """The bare name revokes the first generation, not the newest."""
    await key_set(kms, 2)
    await revoke(kms, "set")
    await kms(Destroy(unique_identifier="set"))
    assert (await attributes_of(kms, "set")).state is State.DESTROYED
    assert (await attributes_of(kms, "set@1")).state is State.ACTIVE
    assert (await sealed(kms, "set")).unique_identifier == "set@1"


@ensure  # type: ignore[untyped-decorator]
async def test_a_set_outlives_its_first_generation(kms: Kms) -> None:
    """The name still works when the object of that identifier is removed."""
    await key_set(kms)
    message = await sealed(kms, "set")
    await kms(ReKey(unique_identifier="set"))
    new = await sealed(kms, "set")
    await kms(Destroy(unique_identifier="set", remove=True))
    assert (await sealed(kms, "set")).unique_identifier == "set@1"
    assert (await kms(opening("set", new))).data == b"text"
    await kms.refused(opening("set", message))


@ensure  # type: ignore[untyped-decorator]
async def test_signatures_and_macs_of_all_generations_verify(kms: Kms) -> None:
    """Verification by name tries the keys in turn, too."""
    private, public = await pair(
        kms,
        CryptographicAlgorithm.ECDSA,
        curve=RecommendedCurve.P256,
        uid="signer",
        private={"rotate_name": "signer"},
    )
    first = await kms(Sign(unique_identifier=private, data=b"text"))
    await kms(ReKeyKeyPair(private_key_unique_identifier=private))
    second = await kms(Sign(unique_identifier=private, data=b"text"))
    assert second.unique_identifier == "signer@1"
    for signed in (first, second):
        verify = SignatureVerify(
            unique_identifier=public, data=b"text", signature_data=signed.signature_data
        )
        assert (await kms(verify)).validity_indicator.wire_name == "Valid"
    wrong = SignatureVerify(
        unique_identifier=public, data=b"test", signature_data=first.signature_data
    )
    assert (await kms(wrong)).validity_indicator.wire_name == "Invalid"


@ensure  # type: ignore[untyped-decorator]
async def test_macs_of_all_generations_verify(kms: Kms) -> None:
    """MAC by name uses the newest key, MACVerify tries all."""
    algorithm = CryptographicAlgorithm.HMAC_SHA256
    await kms.key("set", rotate_name="set", cryptographic_algorithm=algorithm)
    before = await kms(MAC(unique_identifier="set", data=b"text"))
    await kms(ReKey(unique_identifier="set"))
    after = await kms(MAC(unique_identifier="set", data=b"text"))
    assert after.mac_data != before.mac_data
    for made in (before, after):
        verify = MACVerify(unique_identifier="set", data=b"text", mac_data=made.mac_data)
        assert (await kms(verify)).validity_indicator.wire_name == "Valid"


@pytest.mark.parametrize(
    ("uid", "name", "said"),
    [
        (None, "set", "set the key ID to the keyset name"),
        ("k", "set", "rotate_name must be the key's base UID"),
        ("k@x", "k@x", "rotate_name must not contain '@'"),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_set_is_called_like_its_first_key(
    kms: Kms, uid: str | None, name: str, said: str
) -> None:
    """A Rotate Name that is not the identifier is refused."""
    wanted = Attributes(
        unique_identifier=uid,
        rotate_name=name,
        cryptographic_algorithm=CryptographicAlgorithm.AES,
    )
    error = await kms.refused(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=wanted))
    assert said in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_joins_no_other_set_afterwards(kms: Kms) -> None:
    """Neither can the name be changed to another; its own may be set."""
    await kms.key("k")
    other = Attributes(rotate_name="set")
    error = await kms.refused(SetAttribute(unique_identifier="k", new_attribute=other))
    assert "rotate_name" in error.message
    own = Attributes(rotate_name="k")
    await kms(SetAttribute(unique_identifier="k", new_attribute=own))
    assert (await kms(ReKey(unique_identifier="k"))).unique_identifier == "k@1"


@pytest.mark.parametrize("uid", ["set@latest", "set@first", "set@1", "set@1_pk"])
@ensure  # type: ignore[untyped-decorator]
async def test_nobody_can_take_an_identifier_that_looks_like_a_generation(
    kms: Kms, uid: str
) -> None:
    """Otherwise one could slip a key into another's set."""
    wanted = Attributes(unique_identifier=uid, cryptographic_algorithm=CryptographicAlgorithm.AES)
    error = await kms.by("mallory").refused(
        Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=wanted)
    )
    assert error.reason is ResultReason.INVALID_FIELD


@ensure  # type: ignore[untyped-decorator]
async def test_another_callers_set_is_not_found(kms: Kms) -> None:
    """Names of sets show nothing to who has no right to the keys."""
    await key_set(kms, 2)
    for named in ("set", "set@latest", "set@first", "set@1"):
        error = await kms.by("bob").refused(Encrypt(unique_identifier=named, data=b"text"))
        assert error.reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_the_key_of_a_set_is_exactly_named_where_it_was_stored(kms: Kms) -> None:
    """A key wrapped by the first generation is unwrapped by that one, whatever came after."""
    await kms.key("set", rotate_name="set")
    wrapped = Attributes(
        unique_identifier="inner",
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        attribute=_wrapped_by("set"),
    )
    await kms(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=wrapped))
    await kms(ReKey(unique_identifier="set", offset=60))
    kms.clock.now += 60
    answer = await kms(Get(unique_identifier="inner", key_wrap_type=KeyWrapType.NOT_WRAPPED))
    assert len(answer.managed_object.key_block.key_value.key_material) == 32


def _wrapped_by(uid: str) -> tuple[Attribute, ...]:
    return (
        Attribute(
            vendor_identification="cosmian",
            attribute_name="wrapping_key_id",
            attribute_value=Item("AttributeValue", ItemType.TEXT_STRING, uid),
        ),
    )
