"""Operations in JSON and in binary over HTTP, against a running server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kmsd.client import ClientError, Http, HttpKms, KmipKms, access, over_http
from kmsd.kmip.attributes import Attributes, tags, with_tags
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    LinkType,
    ObjectType,
    RecommendedCurve,
    ResultReason,
    State,
)
from kmsd.kmip.json_dialects import Spelling
from kmsd.kmip.structures import CryptographicDomainParameters, Name
from kmsd.operations.create import Create
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.locate import Locate
from kmsd.ttlv.schema import dump
from tests.conftest import Kmsd, launch
from tests.reactor import ensureDeferred, reactor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kmsd]:
    kmsd = launch(tmp_path_factory.mktemp("kmsd"))
    yield kmsd
    kmsd.stop()


def _kms(server: Kmsd, how: str) -> Any:
    http = Http(reactor, server.url)
    if how == "binary":
        return KmipKms(over_http(http))
    return HttpKms(http, Spelling[how])


@pytest.mark.parametrize("how", ["V4", "V5", "binary"])
@ensureDeferred
async def test_structures_go_and_come(how: str, server: Kmsd) -> None:
    """A key pair is made, described, found and got, the same way in every dialect."""
    kms, tag = _kms(server, how), f"tag of {how}"
    curve = CryptographicDomainParameters(recommended_curve=RecommendedCurve.P256)
    common = Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.ECDSA,
        cryptographic_domain_parameters=curve,
        activation_date=1_000_000_000,
    )
    made = await kms(CreateKeyPair(common_attributes=with_tags(common, frozenset({tag}))))
    private = made.private_key_unique_identifier
    found = await kms(Locate(attributes=dump(with_tags(Attributes(), frozenset({tag})))))
    assert set(found.unique_identifier) == {private, made.public_key_unique_identifier}
    described = (await kms(GetAttributes(unique_identifier=private))).attributes
    assert described.object_type is ObjectType.PRIVATE_KEY
    assert described.activation_date == 1_000_000_000
    assert described.cryptographic_domain_parameters == curve
    assert [link.link_type for link in described.link] == [LinkType.PUBLIC_KEY_LINK]
    assert tags(described) == {tag, "_sk"}
    got = await kms(Get(unique_identifier=private))
    assert got.managed_object.key_block.key_value.key_material.recommended_curve is not None


@ensureDeferred
async def test_the_dialect_decides_the_rules(server: Kmsd) -> None:
    """A key of a 4.x client is born Active; one of a 5.x client waits, and may have a name."""
    states = {}
    for how in ("V4", "V5"):
        kms = _kms(server, how)
        attributes = Attributes(
            cryptographic_algorithm=CryptographicAlgorithm.AES,
            name=(Name(name_value=f"key of {how}"),),
        )
        made = await kms(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=attributes))
        request = GetAttributes(unique_identifier=made.unique_identifier)
        states[how] = (await _kms(server, "V5")(request)).attributes.state
    assert states == {"V4": State.ACTIVE, "V5": State.PRE_ACTIVE}


@pytest.mark.parametrize("how", ["V4", "V5", "binary"])
@ensureDeferred
async def test_refusals_are_raised(how: str, server: Kmsd) -> None:
    """What the server refuses is raised with the same reason in every dialect."""
    with pytest.raises(ClientError, match="nobody") as raised:
        await _kms(server, how)(Get(unique_identifier="nobody"))
    assert raised.value.reason is ResultReason.OBJECT_NOT_FOUND


@ensureDeferred
async def test_bodies_can_be_listened_to(server: Kmsd) -> None:
    """A listener is told each request and each answer."""
    heard: list[tuple[str, bytes]] = []
    kms = HttpKms(Http(reactor, server.url), listener=lambda *each: heard.append(each))
    await kms(Locate())
    assert [what for what, _ in heard] == ["request", "answer"]
    assert b'"Locate"' in heard[0][1]
    assert b'"LocateResponse"' in heard[1][1]


@ensureDeferred
async def test_rights_and_lists(server: Kmsd) -> None:
    """Rights are granted, listed and revoked; what is owned is listed with its attributes."""
    http = Http(reactor, server.url)
    attributes = Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.AES, unique_identifier="a key/with a slash"
    )
    made = await HttpKms(http)(Create(object_type=ObjectType.SYMMETRIC_KEY, attributes=attributes))
    uid = made.unique_identifier
    assert "bob" in await access.grant(http, uid, "bob", ["Get", "encrypt"])
    assert await access.granted(http, uid) == [{"user_id": "bob", "operations": ["encrypt", "get"]}]
    await access.revoke(http, uid, "bob", ["get", "encrypt"])
    assert await access.granted(http, uid) == []
    (row,) = [each for each in await access.owned(http) if each["object_id"] == uid]
    assert row["attributes"]["CryptographicAlgorithm"] == "AES"
    assert await access.obtained(http) == []
    assert await access.shared(http) == []
    with pytest.raises(ClientError):
        await access.new_database(http)
