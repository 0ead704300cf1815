"""CoverCrypt through the operations: keys, access policies, rekeying, and who may do what."""

import json
from typing import Any

import pytest
import pytest_twisted

from kmsd.crypto import bulk, covercrypt
from kmsd.crypto.bulk import number
from kmsd.kmip.attributes import Attributes, tags, vendor_value, with_vendor
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    KeyFormatType,
    LinkType,
    ObjectType,
    ResultReason,
    State,
)
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import PrivateKey, key_material
from kmsd.kmip.structures import CryptographicParameters, Link
from kmsd.operations import covercrypt_policies
from kmsd.operations.create import Create
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.export import Export
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.import_ import Import
from kmsd.operations.rekey_key_pair import ReKeyKeyPair
from kmsd.ttlv import Item, ItemType
from tests.server import Kms
from tests.using_keys import revoke

ensure = pytest_twisted.ensureDeferred
pytestmark = pytest.mark.skipif(
    not covercrypt.available(), reason="needs the extra kmsd[covercrypt]"
)
POLICY = {
    "Security Level::<": ["Protected", "Confidential", "Top Secret::+"],
    "Department": ["R&D", "HR", "MKG", "FIN"],
}
HR, FIN = "Department::HR", "Department::FIN"
LOW, TOP = "Security Level::Protected", "Security Level::Top Secret"
BULK = CryptographicParameters(cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT_BULK)


@pytest.fixture
def kms4(kms: Kms) -> Kms:
    """The server as the clients see it that know CoverCrypt."""
    return kms.as_(Generation.V4)


def vendor(attributes: Attributes, name: str, value: str) -> Attributes:
    return with_vendor(
        attributes, name, Item("AttributeValue", ItemType.BYTE_STRING, value.encode())
    )


async def masters(kms: Kms, uid: str = "m", policy: object = None) -> tuple[str, str]:
    """Make a master key pair; return the identifiers, private first."""
    attributes = Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT,
        key_format_type=KeyFormatType.COVERCRYPT_SECRET_KEY,
        activation_date=int(kms.clock.now) - 1,
    )
    text = json.dumps(POLICY if policy is None else policy)
    answer = await kms(
        CreateKeyPair(
            common_attributes=vendor(attributes, "cover_crypt_policy", text),
            private_key_attributes=Attributes(unique_identifier=uid),
        )
    )
    return answer.private_key_unique_identifier, answer.public_key_unique_identifier


def user_key(kms: Kms, uid: str, access: str, parent: str = "m") -> Create:
    """Return the request that makes a user key."""
    link = Link(link_type=LinkType.PARENT_LINK, linked_object_identifier=parent)
    attributes = Attributes(
        unique_identifier=uid,
        cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT,
        link=(link,),
        activation_date=int(kms.clock.now) - 1,
    )
    return Create(
        object_type=ObjectType.PRIVATE_KEY,
        attributes=vendor(attributes, "cover_crypt_access_policy", access),
    )


def payload(access: str, data: bytes, metadata: bytes = b"") -> bytes:
    raw = access.encode()
    return number(len(raw)) + raw + number(len(metadata)) + metadata + data


async def sealed(kms: Kms, access: str, data: bytes = b"text", **fields: Any) -> bytes:
    """Encrypt to the public master key."""
    content = payload(access, data, fields.pop("metadata", b""))
    answer = await kms(Encrypt(unique_identifier="m_pk", data=content, **fields))
    assert isinstance(answer.data, bytes)
    return answer.data


async def opened(kms: Kms, uid: str, data: bytes, **fields: Any) -> bytes:
    answer = await kms(Decrypt(unique_identifier=uid, data=data, **fields))
    assert isinstance(answer.data, bytes)
    return answer.data


async def rekey(kms: Kms, action: object, name: str = covercrypt_policies.ACTION) -> None:
    """Have the master keys changed."""
    attributes = vendor(Attributes(), name, json.dumps(action))
    answer = await kms(
        ReKeyKeyPair(private_key_unique_identifier="m", private_key_attributes=attributes)
    )
    assert (answer.private_key_unique_identifier, answer.public_key_unique_identifier) == (
        "m",
        "m_pk",
    )


@pytest.mark.parametrize("generation", [Generation.V4, Generation.V5])
@ensure  # type: ignore[untyped-decorator]
async def test_a_user_key_opens_what_its_policy_covers(kms: Kms, generation: Generation) -> None:
    """A higher level opens the lower ones; another department nothing. Only 4.x has metadata."""
    client = kms.as_(generation)
    await masters(client)
    await client(user_key(client, "u", f"{HR} && {TOP}"))
    prefix = b"\x04meta" if generation is Generation.V4 else b""
    for access in (f"{HR} && {TOP}", f"{HR} && {LOW}"):
        message = await sealed(client, access, metadata=b"meta")
        assert await opened(client, "u", message) == prefix + b"text"
    foreign = await sealed(client, f"{FIN} && {LOW}")
    error = await client.refused(Decrypt(unique_identifier="u", data=foreign))
    assert error.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@ensure  # type: ignore[untyped-decorator]
async def test_keys_say_what_they_are(kms4: Kms) -> None:
    """The pair has its policy and links, the user key its parent, and each its system tag."""
    await masters(kms4)
    await kms4(user_key(kms4, "u", HR))
    found = {}
    for uid in ("m", "m_pk", "u"):
        record = await kms4.store.get(uid)
        assert record is not None
        found[uid] = record.attributes
    assert [tags(found[uid]) for uid in ("m", "m_pk", "u")] == [{"_sk"}, {"_pk"}, {"_uk"}]
    for uid in ("m", "m_pk"):
        policy = json.loads(vendor_value(found[uid], "cover_crypt_policy") or b"")
        assert list(policy["dimensions"]["Security Level"]["Ordered"]) == [
            "Protected",
            "Confidential",
            "Top Secret",
        ]
    assert found["u"].link[0].linked_object_identifier == "m"
    assert found["m"].key_format_type is KeyFormatType.COVERCRYPT_SECRET_KEY


@ensure  # type: ignore[untyped-decorator]
async def test_additional_data_come_back_as_the_tag_and_are_needed(kms4: Kms) -> None:
    """They are authenticated, and the product echoes them."""
    await masters(kms4)
    await kms4(user_key(kms4, "u", f"{HR} && {LOW}"))
    answer = await kms4(
        Encrypt(
            unique_identifier="m_pk",
            data=payload(f"{HR} && {LOW}", b"text"),
            authenticated_encryption_additional_data=b"who",
        )
    )
    assert answer.authenticated_encryption_tag == b"who"
    with_it = {"authenticated_encryption_additional_data": b"who"}
    assert await opened(kms4, "u", answer.data, **with_it) == b"\x00text"
    error = await kms4.refused(Decrypt(unique_identifier="u", data=answer.data))
    assert error.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@ensure  # type: ignore[untyped-decorator]
async def test_both_kinds_of_bulk(kms4: Kms) -> None:
    """CoverCryptBulk is one payload with many texts, BulkData many payloads."""
    await masters(kms4)
    await kms4(user_key(kms4, "u", f"{HR} && {LOW}"))
    access = f"{HR} && {LOW}"
    texts = number(2) + number(3) + b"one" + number(3) + b"two"
    message = await sealed(kms4, access, texts, cryptographic_parameters=BULK)
    back = await opened(kms4, "u", message, cryptographic_parameters=BULK)
    assert back == b"\x00" + texts
    many = bulk.build([payload(access, b"one"), payload(access, b"two", b"m")])
    answer = await kms4(Encrypt(unique_identifier="m_pk", data=many))
    back = await opened(kms4, "u", answer.data)
    assert bulk.parse(back) == [b"\x00one", b"\x01mtwo"]


@ensure  # type: ignore[untyped-decorator]
async def test_a_master_key_makes_keys_and_decrypts_nothing(kms4: Kms) -> None:
    """Neither half decrypts, whatever the usage mask says."""
    await masters(kms4)
    message = await sealed(kms4, f"{HR} && {LOW}")
    error = await kms4.refused(Decrypt(unique_identifier="m", data=message))
    assert "no valid key for id" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_user_keys_need_access_to_the_master_key(kms4: Kms) -> None:
    """Who may not get the master key makes no keys of it."""
    await masters(kms4)
    bob = kms4.by("bob")
    await kms4.store.grant("m", "bob", frozenset({"encrypt", "decrypt", "rekeykeypair"}))
    error = await bob.refused(user_key(bob, "u", HR))
    assert error.reason is ResultReason.OBJECT_NOT_FOUND
    await kms4.store.grant("m", "bob", frozenset({"get"}))
    await bob(user_key(bob, "u", HR))


@pytest.mark.parametrize(
    "access", ["Department::Nobody", "nonsense", "", "Department::HR &&", "(" * 5_000]
)
@ensure  # type: ignore[untyped-decorator]
async def test_nonsense_is_refused_and_the_server_goes_on(kms4: Kms, access: str) -> None:
    """Access policies that do not fit are the client's error, in keys and in messages."""
    await masters(kms4)
    for request in (
        user_key(kms4, "u", access),
        Encrypt(unique_identifier="m_pk", data=payload(access, b"text")),
    ):
        error = await kms4.refused(request)
        assert error.reason is not ResultReason.GENERAL_FAILURE
    await kms4(user_key(kms4, "u", HR))


@ensure  # type: ignore[untyped-decorator]
async def test_a_pair_needs_a_policy(kms4: Kms) -> None:
    """Without one the client is told which attribute it is."""
    wanted = Attributes(cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT)
    error = await kms4.refused(CreateKeyPair(common_attributes=wanted))
    assert "cover_crypt_policy" in error.message
    wanted = vendor(wanted, "cover_crypt_policy", "{}")
    error = await kms4.refused(CreateKeyPair(common_attributes=wanted))
    assert error.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


@ensure  # type: ignore[untyped-decorator]
async def test_a_rekey_brings_all_user_keys_up_to_date(kms4: Kms) -> None:
    """Also those of others: they open old and new; what was exported before only the old."""
    await masters(kms4)
    bob, access = kms4.by("bob"), f"{HR} && {LOW}"
    await kms4.store.grant("m", "bob", frozenset({"get"}))
    await kms4(user_key(kms4, "mine", access))
    await bob(user_key(bob, "bobs", access))
    out = await kms4(Export(unique_identifier="mine"))
    old = await sealed(kms4, access)
    await rekey(kms4, {"RekeyAccessPolicy": HR})
    new = await sealed(kms4, access)
    for client, uid in ((kms4, "mine"), (bob, "bobs")):
        assert await opened(client, uid, old) == b"\x00text"
        assert await opened(client, uid, new) == b"\x00text"
    record = await kms4.store.get("bobs")
    assert record is not None
    assert record.owner == "bob"
    stale = key_material(out.managed_object.key_block)
    assert isinstance(stale, bytes)
    assert covercrypt.decrypt(stale, old) == b"\x00text"
    await rekey(kms4, {"PruneAccessPolicy": HR})
    assert await opened(kms4, "mine", new) == b"\x00text"
    await kms4.refused(Decrypt(unique_identifier="mine", data=old))


@ensure  # type: ignore[untyped-decorator]
async def test_a_rekey_leaves_forged_children_as_they_are(kms4: Kms) -> None:
    """A key that only says that the master key is its parent does not stop the rekey."""
    await masters(kms4)
    await masters(kms4.by("mallory"), "theirs")
    mallory = kms4.by("mallory")
    await mallory(user_key(mallory, "forged", HR, "theirs"))
    record = await kms4.store.get("forged")
    assert record is not None
    link = Link(link_type=LinkType.PARENT_LINK, linked_object_identifier="m")
    await mallory(
        Import(
            unique_identifier="forged",
            object_type=ObjectType.PRIVATE_KEY,
            replace_existing=True,
            attributes=vendor(Attributes(link=(link,)), "cover_crypt_access_policy", HR),
            managed_object=record.managed_object,
        )
    )
    await rekey(kms4, {"RekeyAccessPolicy": HR})
    after = await kms4.store.get("forged")
    assert after is not None
    assert after.managed_object == record.managed_object


@ensure  # type: ignore[untyped-decorator]
async def test_the_policy_can_be_edited(kms4: Kms) -> None:
    """Attributes are added, renamed, disabled and removed, for both halves."""
    await masters(kms4)
    new = "Department::Sales"
    await rekey(kms4, {"AddAttribute": [[new, "Hybridized"]]})
    await sealed(kms4, f"{new} && {LOW}")
    await rekey(kms4, {"RenameAttribute": [[new, "Market"]]})
    renamed = "Department::Market"
    await sealed(kms4, f"{renamed} && {LOW}")
    await rekey(kms4, {"DisableAttribute": [renamed]})
    await kms4.refused(Encrypt(unique_identifier="m_pk", data=payload(f"{renamed} && {LOW}", b"")))
    await rekey(kms4, {"RemoveAttribute": [FIN]})
    await kms4.refused(user_key(kms4, "u", FIN))
    attributes = (await kms4(GetAttributes(unique_identifier="m"))).attributes
    policy = json.loads(vendor_value(attributes, "cover_crypt_policy") or b"")
    assert set(policy["dimensions"]["Department"]["Unordered"]) == {"R&D", "HR", "MKG", "Market"}


@pytest.mark.parametrize(
    ("name", "value", "action"),
    [
        ("cover_crypt_attributes", [HR, FIN], {"RekeyAccessPolicy": f"{HR} || {FIN}"}),
        (
            "cover_crypt_policy_edit_action",
            {"ClearOldAttributeValues": [HR]},
            {"PruneAccessPolicy": HR},
        ),
        (
            "cover_crypt_policy_edit_action",
            {"AddAttribute": [["Department::X", "Classic"]]},
            {"AddAttribute": [["Department::X", "Classic"]]},
        ),
        (covercrypt_policies.ACTION, {"RekeyAccessPolicy": HR}, {"RekeyAccessPolicy": HR}),
    ],
)
def test_older_clients_say_it_otherwise(name: str, value: object, action: object) -> None:
    """Each generation's attribute becomes today's action."""
    found = covercrypt_policies.rekey_action(vendor(Attributes(), name, json.dumps(value)))
    assert json.loads(found or b"") == action


def test_the_first_clients_send_access_policies_as_trees() -> None:
    """And, Or and Attr become an expression; anything else is refused."""
    tree = {"And": [{"Attr": HR}, {"Or": [{"Attr": LOW}, {"Attr": TOP}]}]}
    found = covercrypt_policies.access_policy(json.dumps(tree).encode())
    assert found == f"({HR} && ({LOW} || {TOP}))"
    deep = '{"And":[' * 40 + '{"Attr":"a"}' + "]}" * 40
    for wrong in ('{"Not":[]}', "{}", "{", deep):
        with pytest.raises(Exception, match="malformed"):
            covercrypt_policies.access_policy(wrong.encode())


@pytest.mark.parametrize("action", [None, {"Explode": []}, {"RekeyAccessPolicy": "nonsense"}])
@ensure  # type: ignore[untyped-decorator]
async def test_other_actions_are_refused(kms4: Kms, action: object) -> None:
    """Without an action, or with one that does not fit, nothing is changed."""
    await masters(kms4)
    before = await kms4.store.get("m")
    attributes = Attributes()
    if action is not None:
        attributes = vendor(attributes, covercrypt_policies.ACTION, json.dumps(action))
    error = await kms4.refused(
        ReKeyKeyPair(private_key_unique_identifier="m", private_key_attributes=attributes)
    )
    assert error.reason in {ResultReason.INVALID_ATTRIBUTE, ResultReason.INVALID_ATTRIBUTE_VALUE}
    assert await kms4.store.get("m") == before


@ensure  # type: ignore[untyped-decorator]
async def test_rekeying_needs_its_own_right(kms4: Kms) -> None:
    """The right to get the master key is none to change it."""
    await masters(kms4)
    await kms4.store.grant("m", "bob", frozenset({"get"}))
    attributes = vendor(Attributes(), covercrypt_policies.ACTION, '{"RekeyAccessPolicy":"x"}')
    error = await kms4.by("bob").refused(
        ReKeyKeyPair(private_key_unique_identifier="m", private_key_attributes=attributes)
    )
    assert error.reason is ResultReason.OBJECT_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_user_keys_share_the_fate_of_the_master_key(kms4: Kms) -> None:
    """Revoking the private master key revokes both halves and all user keys; so with destroying."""
    await masters(kms4)
    await kms4(user_key(kms4, "u", f"{HR} && {LOW}"))
    await masters(kms4, "other")
    await kms4(user_key(kms4, "survivor", HR, "other"))
    await revoke(kms4, "m")
    states = {}
    for uid in ("m", "m_pk", "u", "survivor"):
        record = await kms4.store.get(uid)
        assert record is not None
        states[uid] = record.attributes.state
    assert states == {
        "m": State.DEACTIVATED,
        "m_pk": State.DEACTIVATED,
        "u": State.DEACTIVATED,
        "survivor": State.ACTIVE,
    }
    await kms4(Destroy(unique_identifier="m"))
    record = await kms4.store.get("u")
    assert record is not None
    assert (record.attributes.state, record.managed_object) == (State.DESTROYED, None)


@ensure  # type: ignore[untyped-decorator]
async def test_revoking_a_user_key_reaches_nobody_else(kms4: Kms) -> None:
    """Its master key and the others' keys go on."""
    await masters(kms4)
    await kms4(user_key(kms4, "one", f"{HR} && {LOW}"))
    await kms4(user_key(kms4, "two", f"{HR} && {LOW}"))
    message = await sealed(kms4, f"{HR} && {LOW}")
    await revoke(kms4, "one")
    assert await opened(kms4, "two", message) == b"\x00text"


@ensure  # type: ignore[untyped-decorator]
async def test_wrapped_master_keys_serve_as_ever(kms4: Kms) -> None:
    """Made under a wrapping key, they make user keys and are rekeyed, and stay wrapped."""
    await kms4.key("w", activation_date=None)
    attributes = Attributes(cryptographic_algorithm=CryptographicAlgorithm.COVERCRYPT)
    attributes = vendor(attributes, "cover_crypt_policy", json.dumps(POLICY))
    attributes = vendor(attributes, "wrapping_key_id", "w")
    await kms4(
        CreateKeyPair(
            common_attributes=attributes,
            private_key_attributes=Attributes(unique_identifier="m"),
        )
    )
    await kms4(user_key(kms4, "u", f"{HR} && {LOW}"))
    await rekey(kms4, {"RekeyAccessPolicy": HR})
    assert await opened(kms4, "u", await sealed(kms4, f"{HR} && {LOW}")) == b"\x00text"
    record = await kms4.store.get("m")
    assert record is not None
    assert isinstance(record.managed_object, PrivateKey)
    assert record.managed_object.key_block.key_wrapping_data is not None
    answer = await kms4(Get(unique_identifier="m"))
    assert answer.managed_object.key_block.key_wrapping_data is not None
