"""Get, set, add, modify and delete attributes."""

import pytest_twisted

from kmsd.kmip.attributes import RULES, Attributes, present, rule
from kmsd.kmip.enums import LinkType, NameType, ResultReason
from kmsd.kmip.structures import Attribute, Link, Name
from kmsd.operations.activate import Activate
from kmsd.operations.add_attribute import AddAttribute
from kmsd.operations.delete_attribute import DeleteAttribute
from kmsd.operations.get_attribute_list import GetAttributeList
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.modify_attribute import ModifyAttribute
from kmsd.operations.set_attribute import SetAttribute
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Structure, compiled
from tests.server import NOW, Kms

ensure = pytest_twisted.ensureDeferred


def named(text: str) -> Name:
    return Name(name_value=text, name_type=NameType.UNINTERPRETED_TEXT_STRING)


def vendor(name: str, text: str) -> Attribute:
    value = Item("AttributeValue", ItemType.TEXT_STRING, text)
    return Attribute(vendor_identification="acme", attribute_name=name, attribute_value=value)


def reference(tag: str) -> Item:
    return Item("AttributeReference", ItemType.ENUMERATION, tag)


async def attributes(kms: Kms) -> Attributes:
    answer = await kms(GetAttributes(unique_identifier="k"))
    assert isinstance(answer.attributes, Attributes)
    return answer.attributes


@ensure  # type: ignore[untyped-decorator]
async def test_set_gives_a_value_and_changes_it(kms: Kms) -> None:
    """Whether the attribute had one before or not."""
    await kms.key()
    for text in ("first", "second"):
        new = Attributes(description=text)
        await kms(SetAttribute(unique_identifier="k", new_attribute=new))
        assert (await attributes(kms)).description == text


@ensure  # type: ignore[untyped-decorator]
async def test_links_and_vendor_attributes_are_set_by_their_key(kms: Kms) -> None:
    """One link for each type, one vendor attribute for each name."""
    await kms.key()
    for target in ("a", "b"):
        link = Link(link_type=LinkType.PARENT_LINK, linked_object_identifier=target)
        await kms(SetAttribute(unique_identifier="k", new_attribute=Attributes(link=(link,))))
        new = Attributes(attribute=(vendor("colour", target), vendor("shape", "round")))
        await kms(SetAttribute(unique_identifier="k", new_attribute=new))
    found = await attributes(kms)
    assert [link.linked_object_identifier for link in found.link] == ["b"]
    ours = [each for each in found.attribute if each.vendor_identification == "acme"]
    assert sorted(str(each.attribute_value and each.attribute_value.value) for each in ours) == [
        "b",
        "round",
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_add_adds_once_and_modify_wants_something_to_change(kms: Kms) -> None:
    """Single-valued attributes have one value; what is not there cannot be modified."""
    await kms.key()
    add = AddAttribute(unique_identifier="k", new_attribute=Attributes(comment="one"))
    modify = ModifyAttribute(unique_identifier="k", new_attribute=Attributes(comment="two"))
    assert (await kms.refused(modify)).reason is ResultReason.ATTRIBUTE_NOT_FOUND
    await kms(add)
    assert (await kms.refused(add)).reason is ResultReason.ATTRIBUTE_SINGLE_VALUED
    await kms(modify)
    assert (await attributes(kms)).comment == "two"


@ensure  # type: ignore[untyped-decorator]
async def test_names_are_added_modified_and_deleted_one_by_one(kms: Kms) -> None:
    """Current Attribute says which of several is meant."""
    await kms.key()

    async def change(request: Structure) -> list[str]:
        await kms(request)
        return [name.name_value for name in (await attributes(kms)).name]

    def adding(text: str) -> Structure:
        return AddAttribute(unique_identifier="k", new_attribute=Attributes(name=(named(text),)))

    assert await change(adding("a")) == ["a"]
    assert await change(adding("b")) == ["a", "b"]
    assert (await kms.refused(adding("b"))).reason is not None
    modify = ModifyAttribute(
        unique_identifier="k",
        current_attribute=Attributes(name=(named("a"),)),
        new_attribute=Attributes(name=(named("c"),)),
    )
    assert await change(modify) == ["c", "b"]
    unclear = ModifyAttribute(unique_identifier="k", new_attribute=Attributes(name=(named("d"),)))
    error = await kms.refused(unclear)
    assert error.reason is ResultReason.ATTRIBUTE_INSTANCE_NOT_FOUND
    delete = DeleteAttribute(
        unique_identifier="k", current_attribute=Attributes(name=(named("c"),))
    )
    assert await change(delete) == ["b"]
    assert (await kms.refused(delete)).reason is ResultReason.ATTRIBUTE_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_delete_by_reference_takes_one_attribute_and_no_other(kms: Kms) -> None:
    """A vendor attribute's reference leaves its neighbours alone."""
    await kms.key()
    new = Attributes(attribute=(vendor("colour", "red"), vendor("shape", "round")))
    await kms(SetAttribute(unique_identifier="k", new_attribute=new))
    which = Item(
        "AttributeReference",
        ItemType.STRUCTURE,
        [
            Item("VendorIdentification", ItemType.TEXT_STRING, "acme"),
            Item("AttributeName", ItemType.TEXT_STRING, "colour"),
        ],
    )
    await kms(DeleteAttribute(unique_identifier="k", attribute_reference=(which,)))
    left = [each.attribute_name for each in (await attributes(kms)).attribute]
    assert "shape" in left
    assert "colour" not in left


@ensure  # type: ignore[untyped-decorator]
async def test_what_the_server_manages_no_client_changes(kms: Kms) -> None:
    """Set, Add, Modify and Delete refuse every attribute of a key whose rule says so."""
    await kms.key()
    before = await attributes(kms)
    managed = [field for field in present(before) if not rule(field).modify]
    assert {"state", "digest", "initial_date", "object_type"} <= set(managed)
    for field in managed:
        new = Attributes(**{field: getattr(before, field)})
        for request in (
            SetAttribute(unique_identifier="k", new_attribute=new),
            AddAttribute(unique_identifier="k", new_attribute=new),
            ModifyAttribute(unique_identifier="k", new_attribute=new),
        ):
            error = await kms.refused(request)
            assert error.reason is ResultReason.ATTRIBUTE_READ_ONLY
            assert "server-managed" in error.message
        if not rule(field).delete:
            await kms.refused(DeleteAttribute(unique_identifier="k", current_attribute=new))
    assert await attributes(kms) == before


def test_every_rule_is_for_an_attribute() -> None:
    """A row that nothing reads would be a slip of the pen."""
    assert set(RULES) <= {field.name for field in compiled(Attributes).fields}


@ensure  # type: ignore[untyped-decorator]
async def test_only_what_is_asked_for_is_returned(kms: Kms) -> None:
    """References select; unknown and absent ones are passed over."""
    await kms.key()
    asked = (reference("State"), reference("Comment"), reference("NoSuchThing"))
    answer = await kms(GetAttributes(unique_identifier="k", attribute_reference=asked))
    assert answer.attributes == Attributes(
        state=answer.attributes.state, object_type=answer.attributes.object_type
    )
    listed = await kms(GetAttributeList(unique_identifier="k"))
    names = [item.value for item in listed.attribute_reference if not item.children]
    assert 0x42008D in names  # State
    assert len(names) == len(set(names))


@ensure  # type: ignore[untyped-decorator]
async def test_the_activation_date_is_fixed_once_reached(kms: Kms) -> None:
    """Before, changing it to the past activates the key."""
    await kms.key(activation_date=NOW + 100)
    new = Attributes(activation_date=NOW - 1)
    await kms(ModifyAttribute(unique_identifier="k", new_attribute=new))
    assert "already" in (await kms.refused(Activate(unique_identifier="k"))).message
    again = SetAttribute(unique_identifier="k", new_attribute=Attributes(activation_date=NOW))
    assert (await kms.refused(again)).reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_a_request_changes_exactly_one_attribute(kms: Kms) -> None:
    """None and two are refused."""
    await kms.key()
    for new in (Attributes(), Attributes(comment="a", description="b")):
        request = SetAttribute(unique_identifier="k", new_attribute=new)
        assert (await kms.refused(request)).reason is ResultReason.INVALID_ATTRIBUTE
    repeated = SetAttribute(unique_identifier="k", new_attribute=Attributes(name=(named("n"),)))
    assert (await kms.refused(repeated)).reason is ResultReason.MULTI_VALUED_ATTRIBUTE
