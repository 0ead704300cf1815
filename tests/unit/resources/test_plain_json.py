"""Attributes as the access routes show them: plain JSON in PascalCase, not TTLV."""

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BlockCipherMode,
    CryptographicAlgorithm,
    CryptographicUsageMask,
    KeyFormatType,
    LinkType,
    ObjectType,
    RecommendedCurve,
)
from kmsd.kmip.objects import TransparentSymmetricKey
from kmsd.kmip.structures import (
    Attribute,
    CryptographicDomainParameters,
    CryptographicParameters,
    Link,
    Name,
)
from kmsd.resources.plain_json import plain, plain_attributes
from kmsd.ttlv import Item, ItemType


def test_the_attributes_of_a_key_look_as_the_product_shows_them() -> None:
    mask = CryptographicUsageMask.ENCRYPT | CryptographicUsageMask.DECRYPT
    tags = Item("AttributeValue", ItemType.TEXT_STRING, "[]")
    attributes = Attributes(
        activation_date=1_700_000_000,
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        cryptographic_length=256,
        cryptographic_usage_mask=mask,
        key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
        object_type=ObjectType.SYMMETRIC_KEY,
        link=(Link(link_type=LinkType.PUBLIC_KEY_LINK, linked_object_identifier="x_pk"),),
        attribute=(
            Attribute(vendor_identification="cosmian", attribute_name="tag", attribute_value=tags),
        ),
    )
    assert plain_attributes(attributes) == {
        "ActivationDate": 1_700_000_000_000,
        "CryptographicAlgorithm": "AES",
        "CryptographicLength": 256,
        "CryptographicUsageMask": 12,
        "KeyFormatType": "TransparentSymmetricKey",
        "Link": [{"LinkType": "PublicKeyLink", "LinkedObjectIdentifier": "x_pk"}],
        "ObjectType": "SymmetricKey",
        "Sensitive": False,
        "VendorAttributes": [
            {
                "VendorIdentification": "cosmian",
                "AttributeName": "tag",
                "AttributeValue": [91, 93],
            }
        ],
    }


def test_sensitive_is_always_there_and_tells_the_truth() -> None:
    assert plain_attributes(Attributes()) == {"Sensitive": False}
    assert plain_attributes(Attributes(sensitive=True)) == {"Sensitive": True}


def test_byte_strings_are_arrays_of_numbers() -> None:
    assert plain(Attributes(short_unique_identifier=b"\x00\xff")) == {
        "ShortUniqueIdentifier": [0, 255]
    }


def test_acronyms_are_spelled_as_the_clients_read_them() -> None:
    parameters = CryptographicParameters(
        block_cipher_mode=BlockCipherMode.GCM, random_iv=True, iv_length=12, p_source=b"\x01"
    )
    domain = CryptographicDomainParameters(
        qlength=256, recommended_curve=RecommendedCurve.of("P256")
    )
    assert plain(parameters) == {
        "BlockCipherMode": "GCM",
        "RandomIv": True,
        "IvLength": 12,
        "PSource": [1],
    }
    assert set(plain(domain)) == {"QLength", "RecommendedCurve"}


def test_cryptographic_parameters_are_one_object() -> None:
    first, second = (CryptographicParameters(tag_length=length) for length in (12, 16))
    shown = plain(Attributes(cryptographic_parameters=(first, second)))
    assert shown == {"CryptographicParameters": {"TagLength": 12}}


def test_names_are_a_list() -> None:
    shown = plain(Attributes(name=(Name(name_value="a"), Name(name_value="b"))))
    assert [name["NameValue"] for name in shown["Name"]] == ["a", "b"]


def test_a_vendor_attribute_may_hold_a_structure() -> None:
    value = Item(
        "AttributeValue",
        ItemType.STRUCTURE,
        [Item("Comment", ItemType.TEXT_STRING, "c"), Item("State", ItemType.INTEGER, 3)],
    )
    attribute = Attribute(vendor_identification="v", attribute_name="n", attribute_value=value)
    assert plain(attribute)["AttributeValue"] == {"Comment": "c", "State": 3}


def test_secret_fields_are_never_shown() -> None:
    assert plain(TransparentSymmetricKey(key=b"secret")) == {}
