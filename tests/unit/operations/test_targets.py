"""Which objects a request may act on: identifiers, tags, owners, grants."""

import pytest
import pytest_twisted

from kmsd.kmip.enums import CryptographicUsageMask, ResultReason, RevocationReasonCode
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import RevocationReason
from kmsd.operations import GRANTABLE, OPERATIONS
from kmsd.operations.activate import Activate
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.revoke import Revoke
from kmsd.ttlv.schema import Structure
from tests.server import Kms

ensure = pytest_twisted.ensureDeferred
UNSPECIFIED = RevocationReason(revocation_reason_code=RevocationReasonCode.UNSPECIFIED)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Get(unique_identifier="k"), ResultReason.OBJECT_NOT_FOUND),
        (GetAttributes(unique_identifier="k"), ResultReason.OBJECT_NOT_FOUND),
        (Activate(unique_identifier="k"), ResultReason.OBJECT_NOT_FOUND),
        (Encrypt(unique_identifier="k", data=b""), ResultReason.ITEM_NOT_FOUND),
        (Destroy(unique_identifier="k"), ResultReason.ITEM_NOT_FOUND),
        (
            Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED),
            ResultReason.ITEM_NOT_FOUND,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Structure) else "",
)
@ensure  # type: ignore[untyped-decorator]
async def test_what_is_not_yours_looks_as_if_it_were_not_there(
    kms: Kms, request_: Structure, reason: ResultReason
) -> None:
    """A stranger's error is the same, word for word, with the object and without it."""
    without = await kms.by("mallory").refused(request_)
    await kms.key()
    with_it = await kms.by("mallory").refused(request_)
    assert (with_it.reason, with_it.message) == (without.reason, without.message)
    assert with_it.reason is reason


@pytest.mark.parametrize("grantee", ["bob", "*"])
@ensure  # type: ignore[untyped-decorator]
async def test_a_grant_allows_and_its_end_forbids(kms: Kms, grantee: str) -> None:
    """Both take effect with the next request."""
    await kms.key()
    request = Encrypt(unique_identifier="k", data=b"x")
    await kms.store.grant("k", grantee, frozenset({"encrypt"}))
    assert await kms.by("bob")(request)
    assert (await kms.by("bob").refused(Get(unique_identifier="k"))).reason
    await kms.store.ungrant("k", grantee, frozenset({"encrypt"}))
    assert (await kms.by("bob").refused(request)).reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_get_implies_use_but_not_revocation(kms: Kms) -> None:
    """Who may have the key may use it; to revoke or destroy it needs a grant of its own."""
    await kms.key()
    await kms.store.grant("k", "bob", frozenset({"get"}))
    bob = kms.by("bob")
    assert await bob(Encrypt(unique_identifier="k", data=b"x"))
    assert await bob(GetAttributes(unique_identifier="k"))
    revoke = Revoke(unique_identifier="k", revocation_reason=UNSPECIFIED)
    assert (await bob.refused(revoke)).reason is ResultReason.ITEM_NOT_FOUND
    assert (await bob.refused(Destroy(unique_identifier="k"))).reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_tags_stand_for_the_one_object_that_has_them_all(kms: Kms) -> None:
    """System tags count too, and only one's own objects are meant."""
    await kms.key("k1", ("red", "round"))
    await kms.key("k2", ("red",))
    await kms.by("bob").key("k3", ("red", "round"))
    answer = await kms(Get(unique_identifier='["round","_kk"]'))
    assert answer.unique_identifier == "k1"
    assert (await kms.by("carol").refused(Get(unique_identifier='["red"]'))).reason


@ensure  # type: ignore[untyped-decorator]
async def test_tags_of_several_objects_are_ambiguous(kms: Kms) -> None:
    """A 5.x client is told so, a 4.x client gets the first, Revoke takes them all."""
    await kms.key("k1", ("red",))
    await kms.key("k2", ("red",))
    assert "resolves to 2" in (await kms.refused(Get(unique_identifier='["red"]'))).message
    old = await kms.as_(Generation.V4)(Get(unique_identifier='["red"]'))
    assert old.unique_identifier == "k1"
    revoked = await kms(Revoke(unique_identifier='["red"]', revocation_reason=UNSPECIFIED))
    assert revoked.unique_identifier == '["red"]'
    for uid in ("k1", "k2"):
        assert await kms.refused(Encrypt(unique_identifier=uid, data=b""))


@ensure  # type: ignore[untyped-decorator]
async def test_of_several_objects_the_one_that_can_is_meant(kms: Kms) -> None:
    """Keys that may not encrypt do not make the tag ambiguous for Encrypt."""
    await kms.key("k1", ("red",), cryptographic_usage_mask=CryptographicUsageMask.DECRYPT)
    await kms.key("k2", ("red",))
    answer = await kms(Encrypt(unique_identifier='["red"]', data=b"x"))
    assert answer.unique_identifier == "k2"


@pytest.mark.parametrize("named", ["[", "[]", '["a",1]', '{"a":1}]', "[" * 5000])
@ensure  # type: ignore[untyped-decorator]
async def test_malformed_lists_of_tags_are_refused(kms: Kms, named: str) -> None:
    """They are an invalid field, or nothing that exists; never a failure of the server."""
    error = await kms.refused(Get(unique_identifier=named))
    assert error.reason in {ResultReason.INVALID_FIELD, ResultReason.OBJECT_NOT_FOUND}


@ensure  # type: ignore[untyped-decorator]
async def test_a_request_without_an_identifier_says_what_is_missing(kms: Kms) -> None:
    """Outside a batch there is no ID Placeholder."""
    assert "place holder id" in (await kms.refused(Get())).message


def test_every_operation_can_be_granted() -> None:
    """And every grant that a row asks for is one of them."""
    for row in OPERATIONS:
        assert row.operation.wire_name.lower() in GRANTABLE
        if row.target is not None:
            assert row.target.permit <= set(GRANTABLE)
            assert row.target.permit
