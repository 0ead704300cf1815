"""Re-key and Re-key Key Pair: what the new key inherits, what becomes of the old one."""

from typing import Any

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes, tags
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    LinkType,
    RecommendedCurve,
    ResultReason,
    RevocationReasonCode,
    State,
    UsageLimitsUnit,
)
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import Link, Name, UsageLimits
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.locate import Locate
from kmsd.operations.rekey import ReKey
from kmsd.operations.rekey_key_pair import ReKeyKeyPair
from kmsd.operations.set_attribute import SetAttribute
from kmsd.operations.sign import Sign
from kmsd.operations.signature_verify import SignatureVerify
from kmsd.ttlv.schema import dump
from tests.server import NOW, Kms
from tests.using_keys import known, material, pair, revoke

ensure = pytest_twisted.ensureDeferred
HOUR = 3_600


async def attributes_of(kms: Kms, uid: str) -> Attributes:
    """Return all attributes of an object."""
    answer = await kms(GetAttributes(unique_identifier=uid))
    assert isinstance(answer.attributes, Attributes)
    return answer.attributes


async def rekeyed(kms: Kms, uid: str, **fields: Any) -> str:
    """Re-key, and return the identifier of the new key."""
    answer = await kms(ReKey(unique_identifier=uid, **fields))
    assert isinstance(answer.unique_identifier, str)
    return answer.unique_identifier


def first_link(attributes: Attributes) -> tuple[LinkType, str | None]:
    """Return the link that clients read."""
    return attributes.link[0].link_type, attributes.link[0].linked_object_identifier


@ensure  # type: ignore[untyped-decorator]
async def test_a_new_key_takes_over_and_the_old_one_only_processes(kms: Kms) -> None:
    """The new key has other bytes, the names and tags; each links to the other, first of all."""
    await kms.key("old", tags=("payroll",), name=(Name(name_value="salaries"),))
    new = await rekeyed(kms, "old")
    before, after = await attributes_of(kms, "old"), await attributes_of(kms, new)
    assert await material(kms, "old") != await material(kms, new)
    assert first_link(before) == (LinkType.REPLACEMENT_OBJECT_LINK, new)
    assert first_link(after) == (LinkType.REPLACED_OBJECT_LINK, "old")
    assert (before.state, after.state) == (State.DEACTIVATED, State.ACTIVE)
    assert (before.name, after.name) == ((), (Name(name_value="salaries"),))
    assert tags(after) == {"payroll", "_kk"}
    assert after.digest != before.digest
    located = await kms(Locate(attributes=_named("salaries")))
    assert located.unique_identifier == (new,)


def _named(name: str) -> Any:
    return dump(Attributes(name=(Name(name_value=name),)))


@pytest.mark.parametrize(
    "code", [RevocationReasonCode.KEY_COMPROMISE, RevocationReasonCode.SUPERSEDED]
)
@ensure  # type: ignore[untyped-decorator]
async def test_what_happened_to_the_old_key_is_not_inherited(
    kms: Kms, code: RevocationReasonCode
) -> None:
    """The successor of a revoked key is Active and knows of no revocation."""
    await kms.key("old")
    await revoke(kms, "old", code)
    state = (await attributes_of(kms, "old")).state
    after = await attributes_of(kms, await rekeyed(kms, "old"))
    assert after.state is State.ACTIVE
    assert (after.revocation_reason, after.deactivation_date) == (None, None)
    assert (after.compromise_date, after.compromise_occurrence_date) == (None, None)
    assert (await attributes_of(kms, "old")).state is state


@ensure  # type: ignore[untyped-decorator]
async def test_an_offset_moves_all_dates_alike(kms: Kms) -> None:
    """Process start, protect stop and deactivation keep their distance from the activation."""
    await kms.key(
        "old",
        activation_date=NOW - 100,
        process_start_date=NOW - 90,
        protect_stop_date=NOW + 400,
        deactivation_date=NOW + 900,
    )
    new = await rekeyed(kms, "old", offset=HOUR)
    after = await attributes_of(kms, new)
    assert after.state is State.PRE_ACTIVE
    assert after.activation_date == NOW + HOUR
    assert after.process_start_date == NOW + HOUR + 10
    assert after.protect_stop_date == NOW + HOUR + 500
    assert after.deactivation_date == NOW + HOUR + 1_000


@ensure  # type: ignore[untyped-decorator]
async def test_the_old_key_is_active_until_its_successor_is(kms: Kms) -> None:
    """With an offset there is no moment without a key that encrypts, and none with two."""
    await kms.key("old")
    new = await rekeyed(kms, "old", offset=HOUR)
    states = [(await attributes_of(kms, uid)).state for uid in ("old", new)]
    assert states == [State.ACTIVE, State.PRE_ACTIVE]
    kms.clock.now += HOUR
    states = [(await attributes_of(kms, uid)).state for uid in ("old", new)]
    assert states == [State.DEACTIVATED, State.ACTIVE]


@ensure  # type: ignore[untyped-decorator]
async def test_dates_that_have_passed_do_not_end_the_new_key(kms: Kms) -> None:
    """A key that ended as planned gets a successor without an end."""
    await kms.key("old", deactivation_date=NOW + 10, protect_stop_date=NOW + 5)
    kms.clock.now += 20
    after = await attributes_of(kms, await rekeyed(kms, "old"))
    assert (after.state, after.deactivation_date) == (State.ACTIVE, None)
    assert after.protect_stop_date is None


@ensure  # type: ignore[untyped-decorator]
async def test_usage_limits_begin_anew(kms: Kms) -> None:
    """The successor may protect as much as the old key once could."""
    limits = UsageLimits(usage_limits_total=10, usage_limits_unit=UsageLimitsUnit.OBJECT)
    await kms.key("old", usage_limits=limits)
    await kms(Encrypt(unique_identifier="old", data=b"one"))
    after = await attributes_of(kms, await rekeyed(kms, "old"))
    assert after.usage_limits is not None
    assert after.usage_limits.usage_limits_count == 10


@ensure  # type: ignore[untyped-decorator]
async def test_attributes_of_the_request_win(kms: Kms) -> None:
    """The request says how the new key is to be called, and of what length."""
    await kms.key("old")
    wanted = Attributes(unique_identifier="new", cryptographic_length=128)
    assert await rekeyed(kms, "old", attributes=wanted) == "new"
    assert len(await material(kms, "new")) == 16


@pytest.mark.parametrize("state", ["never active", "destroyed"])
@ensure  # type: ignore[untyped-decorator]
async def test_keys_that_cannot_be_rotated(kms: Kms, state: str) -> None:
    """Neither a key that was never active nor one that is destroyed has a successor."""
    await kms.key("old", activation_date=None)
    if state == "destroyed":
        await kms(Destroy(unique_identifier="old"))
    error = await kms.refused(ReKey(unique_identifier="old"))
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    assert "only Active, Deactivated, or Compromised keys can be rotated" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_rotation_needs_its_own_right(kms: Kms) -> None:
    """The right to get a key is none to rotate it."""
    await kms.key("old")
    await kms.store.grant("old", "bob", frozenset({"get", "encrypt"}))
    error = await kms.by("bob").refused(ReKey(unique_identifier="old"))
    assert error.reason is ResultReason.OBJECT_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_the_owner_stays_the_owner_and_users_stay_users(kms: Kms) -> None:
    """Who rotates a key does not come to own it; who could use it can use its successor."""
    await kms.key("old")
    await kms.store.grant("old", "bob", frozenset({"rekey"}))
    await kms.store.grant("old", "carol", frozenset({"encrypt"}))
    new = await rekeyed(kms.by("bob"), "old")
    record = await kms.store.get(new)
    assert record is not None
    assert record.owner == "alice"
    await kms.by("carol")(Encrypt(unique_identifier=new, data=b"for all"))
    error = await kms.by("bob").refused(Encrypt(unique_identifier=new, data=b"not for bob"))
    assert error.reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_clients_key_is_renewed_in_place(kms: Kms) -> None:
    """Its identifier, owner and attributes stay; its bytes do not."""
    client = kms.as_(Generation.V4)
    await known(client, bytes(32), uid="old", activation_date=None)
    await kms.store.grant("old", "bob", frozenset({"rekey"}))
    before = await kms.store.get("old")
    assert await rekeyed(client.by("bob"), "old") == "old"
    after = await kms.store.get("old")
    assert before is not None
    assert after is not None
    assert (after.owner, after.attributes.name) == ("alice", before.attributes.name)
    assert after.managed_object != before.managed_object
    assert after.attributes.digest != before.attributes.digest


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_pair_is_replaced_as_a_whole(kms: Kms) -> None:
    """Both halves link to their successors and back, and the new halves to one another."""
    private, public = await pair(kms, CryptographicAlgorithm.ECDSA, curve=RecommendedCurve.P256)
    answer = await kms(ReKeyKeyPair(private_key_unique_identifier=private))
    new = answer.private_key_unique_identifier, answer.public_key_unique_identifier
    for old_uid, new_uid, half, other in (
        (private, new[0], LinkType.PUBLIC_KEY_LINK, new[1]),
        (public, new[1], LinkType.PRIVATE_KEY_LINK, new[0]),
    ):
        before, after = await attributes_of(kms, old_uid), await attributes_of(kms, new_uid)
        assert first_link(before) == (LinkType.REPLACEMENT_OBJECT_LINK, new_uid)
        assert first_link(after) == (LinkType.REPLACED_OBJECT_LINK, old_uid)
        links = {link.link_type: link.linked_object_identifier for link in after.link}
        assert links[half] == other
        assert (before.state, after.state) == (State.DEACTIVATED, State.ACTIVE)
    signed = await kms(Sign(unique_identifier=new[0], data=b"text"))
    verify = SignatureVerify(
        unique_identifier=new[1], data=b"text", signature_data=signed.signature_data
    )
    assert (await kms(verify)).validity_indicator.wire_name == "Valid"


@ensure  # type: ignore[untyped-decorator]
async def test_a_public_key_of_others_is_not_dragged_along(kms: Kms) -> None:
    """A link to a public key that does not link back makes no pair of the two."""
    private, _ = await pair(kms, CryptographicAlgorithm.ED25519, uid="mine")
    _, victim = await pair(kms.by("bob"), CryptographicAlgorithm.ED25519, uid="theirs")
    record = await kms.store.get(private)
    assert record is not None
    await _relinked(kms, private, victim)
    await kms(ReKeyKeyPair(private_key_unique_identifier=private))
    assert (await attributes_of(kms.by("bob"), victim)).state is State.ACTIVE


async def _relinked(kms: Kms, private: str, public: str) -> None:
    link = Link(link_type=LinkType.PUBLIC_KEY_LINK, linked_object_identifier=public)
    await kms(SetAttribute(unique_identifier=private, new_attribute=Attributes(link=(link,))))


@ensure  # type: ignore[untyped-decorator]
async def test_one_name_finds_the_key_in_use_by_its_tags(kms: Kms) -> None:
    """Tags that a key shares with its successors mean the newest; with the others they do not."""
    await kms.key("old", tags=("db",))
    new = await rekeyed(kms, "old")
    answer = await kms(GetAttributes(unique_identifier='["db"]'))
    assert answer.unique_identifier == new
    await kms.key("stranger", tags=("db",))
    error = await kms.refused(GetAttributes(unique_identifier='["db"]'))
    assert error.reason is ResultReason.INVALID_FIELD
