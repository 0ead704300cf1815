"""The shapes of the 4.x clients: read into KMIP's, and written back as they can read them."""

import json
from typing import Any

import pytest

from kmsd.kmip import json_dialects
from kmsd.kmip.attributes import Attributes, tags
from kmsd.kmip.enums import (
    BlockCipherMode,
    CryptographicUsageMask,
    KeyFormatType,
    LinkType,
    ObjectType,
    Operation,
    ResultStatus,
    RevocationReasonCode,
    State,
)
from kmsd.kmip.messages import RequestMessage, ResponseBatchItem, ResponseHeader, ResponseMessage
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    PublicKey,
    SymmetricKey,
    TransparentRSAPublicKey,
    TransparentSymmetricKey,
    key_material,
)
from kmsd.kmip.structures import Link, ProtocolVersion
from kmsd.operations.encrypt import Encrypt, EncryptResponse
from kmsd.operations.get import GetResponse
from kmsd.operations.import_ import Import
from kmsd.operations.locate import LocateResponse
from kmsd.operations.revoke import Revoke
from kmsd.ttlv import TtlvError
from kmsd.ttlv.json_format import Spelling
from kmsd.ttlv.schema import Structure, dump, load


def leaf(tag: str, kind: str, value: Any) -> dict[str, Any]:
    return {"tag": tag, "type": kind, "value": value}


def branch(tag: str, *children: dict[str, Any]) -> dict[str, Any]:
    return leaf(tag, "Structure", list(children))


def read(node: dict[str, Any], cls: Any) -> Any:
    item, spelling = json_dialects.decode(json.dumps(node).encode())
    assert spelling is Spelling.V4
    return load(cls, item)


def written(structure: Structure) -> Any:
    return json.loads(json_dialects.encode(dump(structure, type(structure).__name__), Spelling.V4))


def child(node: dict[str, Any], *path: str) -> Any:
    for tag in path:
        node = next(each for each in node["value"] if each["tag"] == tag)
    return node


UID = leaf("UniqueIdentifier", "TextString", "k")


def test_the_nonce_has_another_spelling_both_ways() -> None:
    """A client that finds KMIP's own silently drops it."""
    request = read(branch("Encrypt", UID, leaf("IvCounterNonce", "ByteString", "0A")), Encrypt)
    assert request.iv_counter_nonce == b"\n"
    answer = written(EncryptResponse(unique_identifier="k", iv_counter_nonce=b"\n"))
    assert child(answer, "IvCounterNonce") == leaf("IvCounterNonce", "ByteString", "0A")


def test_keys_of_an_item_stand_in_the_order_clients_need() -> None:
    """Tag, type, value: the Python client reads them in this order only."""
    body = json_dialects.encode(dump(EncryptResponse(unique_identifier="k")), Spelling.V4)
    assert b'{"tag":"UniqueIdentifier","type":"TextString","value":"k"}' in body


@pytest.mark.parametrize(
    ("reason", "code", "text"),
    [
        (leaf("RevocationReason", "TextString", "test"), "UNSPECIFIED", "test"),
        (leaf("RevocationReason", "Enumeration", "KeyCompromise"), "KEY_COMPROMISE", None),
        (leaf("RevocationReason", "Integer", 2), "KEY_COMPROMISE", None),
        (
            branch("RevocationReason", leaf("RevocationReasonCode", "Enumeration", "Superseded")),
            "SUPERSEDED",
            None,
        ),
    ],
    ids=["text", "name", "number", "structure"],
)
def test_revocation_reasons_come_in_four_forms(reason: Any, code: str, text: str | None) -> None:
    """All of them become KMIP's structure."""
    request = read(branch("Revoke", UID, reason), Revoke)
    assert request.revocation_reason.revocation_reason_code is RevocationReasonCode[code]
    assert request.revocation_reason.revocation_message == text


def an_import(*attributes: dict[str, Any], material: dict[str, Any]) -> dict[str, Any]:
    block = branch(
        "KeyBlock",
        leaf("KeyFormatType", "Enumeration", "Raw"),
        branch("KeyValue", material),
    )
    return branch(
        "Import",
        leaf("UniqueIdentifier", "TextString", ""),
        leaf("ObjectType", "Enumeration", "SymmetricKey"),
        branch("Attributes", *attributes),
        branch("Object", block),
    )


@pytest.mark.parametrize(
    "material",
    [
        leaf("KeyMaterial", "ByteString", "0102"),
        branch("KeyMaterial", leaf("ByteString", "ByteString", "0102")),
    ],
    ids=["flat", "in a structure"],
)
def test_an_object_is_what_its_sibling_says(material: dict[str, Any]) -> None:
    """`Object` becomes the type's own tag; bytes come out of the structure around them."""
    request = read(an_import(material=material), Import)
    assert isinstance(request.managed_object, SymmetricKey)
    assert key_material(request.managed_object.key_block) == b"\1\2"


def test_lists_lose_and_get_back_their_wrapping() -> None:
    """Links and vendor attributes stand in a structure of their own tag."""
    link = branch(
        "Link",
        leaf("LinkType", "Enumeration", "ParentLink"),
        leaf("LinkedObjectIdentifier", "TextString", "p"),
    )
    vendor = branch(
        "VendorAttributes",
        leaf("VendorIdentification", "TextString", "cosmian"),
        leaf("AttributeName", "TextString", "tag"),
        leaf("AttributeValue", "ByteString", b'["a","b"]'.hex().upper()),
    )
    request = read(
        an_import(
            branch("Link", link),
            branch("VendorAttributes", vendor),
            material=leaf("KeyMaterial", "ByteString", ""),
        ),
        Import,
    )
    attributes = request.attributes
    assert attributes.link == (Link(link_type=LinkType.PARENT_LINK, linked_object_identifier="p"),)
    assert tags(attributes) == {"a", "b"}
    answer = child(written(attributes), "Link")
    assert answer["value"] == [link]
    assert child(written(attributes), "VendorAttributes", "VendorAttributes")["value"][1] == leaf(
        "AttributeName", "TextString", "tag"
    )


def test_dates_are_milliseconds_in_long_integers() -> None:
    """Both ways."""
    date = leaf("ActivationDate", "LongInteger", "0x00000000000007D0")
    request = read(an_import(date, material=leaf("KeyMaterial", "ByteString", "")), Import)
    assert request.attributes.activation_date == 2
    assert child(written(request.attributes), "ActivationDate") == date


def test_only_attributes_that_a_4x_client_knows_are_written() -> None:
    """Its JavaScript form stops at any other, and at a Boolean that says no."""
    attributes = Attributes(
        object_type=ObjectType.SYMMETRIC_KEY,
        state=State.ACTIVE,
        sensitive=False,
        initial_date=1,
        cryptographic_usage_mask=CryptographicUsageMask.ENCRYPT,
    )
    answer = written(attributes)
    assert [each["tag"] for each in answer["value"]] == ["CryptographicUsageMask", "ObjectType"]
    assert child(written(Attributes(sensitive=True)), "Sensitive")["value"] is True


def test_keys_are_written_with_their_bytes_in_a_structure() -> None:
    """Transparent ones say what they are; empty attributes are left out."""
    key = KeyBlock(
        key_format_type=KeyFormatType.RAW,
        key_value=KeyValue(key_material=b"\1", attributes=Attributes()),
    )
    answer = written(
        GetResponse(
            object_type=ObjectType.SYMMETRIC_KEY,
            unique_identifier="k",
            managed_object=SymmetricKey(key_block=key),
        )
    )
    value = child(answer, "Object", "KeyBlock", "KeyValue")
    assert value["value"] == [
        branch("KeyMaterial", leaf("ByteString", "ByteString", "01")),
    ]
    public = KeyBlock(
        key_format_type=KeyFormatType.TRANSPARENT_RSA_PUBLIC_KEY,
        key_value=KeyValue(key_material=TransparentRSAPublicKey(modulus=255, public_exponent=3)),
    )
    material = child(written(PublicKey(key_block=public)), "KeyBlock", "KeyValue", "KeyMaterial")
    assert material["value"] == [
        leaf("KeyTypeSer", "Enumeration", "RsaPublic"),
        leaf("Modulus", "BigInteger", "0xFF"),
        leaf("PublicExponent", "BigInteger", "0x03"),
    ]


def test_located_identifiers_are_a_list_or_nothing() -> None:
    """An empty list is left out."""
    found = written(LocateResponse(located_items=1, unique_identifier=("k",)))
    assert child(found, "UniqueIdentifier") == branch("UniqueIdentifier", UID)
    nothing = written(LocateResponse(located_items=0))
    assert [each["tag"] for each in nothing["value"]] == ["LocatedItems"]


def test_a_4x_key_wrap_pads() -> None:
    """What its clients call NISTKeyWrap is RFC 5649."""
    parameters = branch(
        "CryptographicParameters", leaf("BlockCipherMode", "Enumeration", "NISTKeyWrap")
    )
    request = read(branch("Encrypt", UID, parameters), Encrypt)
    mode = request.cryptographic_parameters.block_cipher_mode
    assert mode is BlockCipherMode.AES_KEY_WRAP_PADDING


def test_a_batch_is_a_message_of_items() -> None:
    """Header and items have other names, the time another type."""
    version = branch(
        "ProtocolVersion",
        leaf("ProtocolVersionMajor", "Integer", 1),
        leaf("ProtocolVersionMinor", "Integer", 0),
    )
    item = branch("Items", leaf("Operation", "Enumeration", "Query"), branch("RequestPayload"))
    request = read(
        branch(
            "Message",
            branch("Header", version, leaf("BatchCount", "Integer", 1)),
            branch("Items", item),
        ),
        RequestMessage,
    )
    assert [each.operation for each in request.batch_item] == [Operation.QUERY]
    answer = written(
        ResponseMessage(
            response_header=ResponseHeader(
                protocol_version=ProtocolVersion(
                    protocol_version_major=1, protocol_version_minor=0
                ),
                time_stamp=5,
                batch_count=1,
            ),
            batch_item=(
                ResponseBatchItem(operation=Operation.QUERY, result_status=ResultStatus.SUCCESS),
            ),
        )
    )
    assert answer["tag"] == "Message"
    assert child(answer, "Header", "Timestamp") == leaf(
        "Timestamp", "LongInteger", "0x0000000000000005"
    )
    assert child(answer, "Items", "Items", "ResultStatus")["value"] == "Success"


def test_a_5x_request_stays_as_it_is() -> None:
    """Its root has no type; so has none of its structures."""
    body = b'{"tag":"Encrypt","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"k"}]}'
    item, spelling = json_dialects.decode(body)
    assert spelling is Spelling.V5
    assert json_dialects.encode(item, spelling) == body
    assert load(Encrypt, item) == Encrypt(unique_identifier="k")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tag":"A","type":"Integer","value":"0xg"}',
        b'{"tag":"A","value":3}',
        b'{"tag":"A","type":"Nonsense","value":3}',
        b'{"tag":"A","type":"ByteString","value":"0"}',
        b'{"tag":"A","type":"ByteString","value":"0x00"}',
        b'{"tag":"A","type":"Boolean","value":2}',
        b'{"tag":"A","type":"Interval","value":-1}',
        b'{"tag":"A","type":"DateTime","value":"yesterday"}',
        b'{"tag":"A","type":"LongInteger","value":9223372036854775808}',
        b'{"tag":"A","type":"Enumeration","value":1.5}',
        b'{"tag":"A","value":[' * 40 + b"]}" * 40,
    ],
    ids=lambda body: body[:40].decode(),
)
def test_what_is_no_ttlv_is_refused(body: bytes) -> None:
    """With the codec's own error and nothing else."""
    with pytest.raises(TtlvError):
        json_dialects.decode(body)


def test_the_names_of_bits_are_no_number() -> None:
    """A mask may be spelled so; any other Integer may not."""
    mask = branch("Attributes", leaf("CryptographicUsageMask", "Integer", "Encrypt|Decrypt"))
    wanted = CryptographicUsageMask.ENCRYPT | CryptographicUsageMask.DECRYPT
    assert read(mask, Attributes).cryptographic_usage_mask == wanted
    length = branch("Attributes", leaf("CryptographicLength", "Integer", "Encrypt"))
    with pytest.raises(TtlvError):
        read(length, Attributes)


def test_a_transparent_key_keeps_its_form() -> None:
    """The structure's own field stays a structure."""
    block = KeyBlock(
        key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
        key_value=KeyValue(key_material=TransparentSymmetricKey(key=b"\7")),
    )
    answer = written(SymmetricKey(key_block=block))
    material = child(answer, "KeyBlock", "KeyValue", "KeyMaterial")
    assert material["value"] == [leaf("Key", "ByteString", "07")]
