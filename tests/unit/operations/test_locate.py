"""Locate: what is found, by whom, and in which pages."""

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    CryptographicUsageMask,
    LinkType,
    NameType,
    ObjectType,
    State,
)
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import Link, Name
from kmsd.operations.locate import Locate
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import dump
from tests.server import NOW, Kms

ensure = pytest_twisted.ensureDeferred
MASK = CryptographicUsageMask


def named(text: str) -> tuple[Name, ...]:
    return (Name(name_value=text, name_type=NameType.UNINTERPRETED_TEXT_STRING),)


async def found(kms: Kms, **attributes: object) -> list[str]:
    """Locate by attributes and return the identifiers."""
    wanted = dump(Attributes(**attributes), "Attributes")  # type: ignore[arg-type]
    return list((await kms(Locate(attributes=wanted))).unique_identifier)


@pytest.fixture
def linked() -> Link:
    return Link(link_type=LinkType.PARENT_LINK, linked_object_identifier="parent")


@ensure  # type: ignore[untyped-decorator]
async def test_all_given_attributes_must_match(kms: Kms, linked: Link) -> None:
    """By name, algorithm, length, type, state, link, group and usage, alone and together."""
    await kms.key("k1", name=named("one"), link=(linked,), object_group=("g",))
    await kms.key("k2", name=named("two"), cryptographic_length=128, activation_date=None)
    await kms.key("k3", name=named("one-more"), cryptographic_usage_mask=MASK.ENCRYPT)
    assert await found(kms) == ["k1", "k2", "k3"]
    assert await found(kms, name=named("one")) == ["k1"]
    assert await found(kms, name=named("o")) == []
    assert await found(kms, cryptographic_length=256) == ["k1", "k3"]
    assert await found(kms, cryptographic_length=128, name=named("one")) == []
    assert await found(kms, object_type=ObjectType.SYMMETRIC_KEY, name=named("two")) == ["k2"]
    assert await found(kms, cryptographic_algorithm=CryptographicAlgorithm.RSA) == []
    assert await found(kms, state=State.PRE_ACTIVE) == ["k2"]
    assert await found(kms, link=(linked,)) == ["k1"]
    assert await found(kms, link=(Link(link_type=LinkType.PARENT_LINK),)) == ["k1"]
    assert await found(kms, object_group=("g",)) == ["k1"]
    assert await found(kms, cryptographic_usage_mask=MASK.ENCRYPT) == ["k3"]
    assert await found(kms, unique_identifier="k2") == ["k2"]


@ensure  # type: ignore[untyped-decorator]
async def test_nobody_finds_what_is_not_theirs(kms: Kms) -> None:
    """An object is found by its owner and by whoever was granted something."""
    await kms.key("k1")
    await kms.by("bob").key("k2")
    await kms.store.grant("k2", "alice", frozenset({"encrypt"}))
    assert await found(kms) == ["k1", "k2"]
    assert await found(kms.by("bob")) == ["k2"]
    assert await found(kms.by("carol")) == []


@ensure  # type: ignore[untyped-decorator]
async def test_a_date_given_twice_is_a_range(kms: Kms) -> None:
    """Both ends belong to it; a date given once must be equal."""
    for number in range(4):
        await kms.key(f"k{number}", activation_date=NOW + number)

    def dates(*values: int) -> Locate:
        items = [Item("ActivationDate", ItemType.DATE_TIME, value) for value in values]
        return Locate(attributes=Item("Attributes", ItemType.STRUCTURE, list(items)))

    between = await kms(dates(NOW + 2, NOW + 1))
    assert list(between.unique_identifier) == ["k1", "k2"]
    assert list((await kms(dates(NOW + 3))).unique_identifier) == ["k3"]


@ensure  # type: ignore[untyped-decorator]
async def test_pages_tile_the_answer_and_the_total_is_told(kms: Kms) -> None:
    """With an index alone, and where the objects have to be read."""
    uids = [f"k{number}" for number in range(7)]
    for uid in uids:
        await kms.key(uid, cryptographic_usage_mask=MASK.ENCRYPT | MASK.DECRYPT)
    for wanted in (Attributes(), Attributes(cryptographic_usage_mask=MASK.DECRYPT)):
        pages: list[str] = []
        for offset in range(0, 8, 3):
            request = Locate(
                maximum_items=3, offset_items=offset, attributes=dump(wanted, "Attributes")
            )
            answer = await kms(request)
            assert answer.located_items == len(uids)
            pages += answer.unique_identifier
        assert pages == uids


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_client_finds_active_objects_only(kms: Kms) -> None:
    """Others find everything but what is destroyed."""
    await kms.key("k1")
    await kms.key("k2", activation_date=None)
    assert await found(kms.as_(Generation.V4)) == ["k1"]
    assert await found(kms) == ["k1", "k2"]


@ensure  # type: ignore[untyped-decorator]
async def test_hostile_texts_are_only_texts(kms: Kms) -> None:
    """Quotes, wildcards, blanks and other alphabets in tags and names mean themselves."""
    texts = ["'; DROP TABLE objects; --", "%", "_x", 'a"b', "naïve ☃", "x" * 300, "a\\b"]
    for number, text in enumerate(texts):
        await kms.key(f"k{number}", name=named(text), tags=(f"t{text}",))
    for number, text in enumerate(texts):
        assert await found(kms, name=named(text)) == [f"k{number}"]
        tagged = with_tags(Attributes(), frozenset({f"t{text}"}))
        assert await found(kms, attribute=tagged.attribute) == [f"k{number}"]
