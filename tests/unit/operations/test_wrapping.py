"""Wrapped keys: every way in and out, and what happens when the wrapping key is rotated."""

import json
from typing import Any

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_unwrap_with_padding

from kmsd.kmip.attributes import Attributes, with_vendor
from kmsd.kmip.enums import (
    BlockCipherMode,
    CryptographicAlgorithm,
    EncodingOption,
    HashingAlgorithm,
    KeyFormatType,
    KeyWrapType,
    LinkType,
    ObjectType,
    PaddingMethod,
    RecommendedCurve,
    ResultReason,
    State,
    WrappingMethod,
)
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    PrivateKey,
    SecretData,
    SymmetricKey,
    TransparentRSAPrivateKey,
    key_material,
)
from kmsd.kmip.structures import (
    CryptographicParameters,
    EncryptionKeyInformation,
    KeyWrappingData,
    KeyWrappingSpecification,
)
from kmsd.operations import key_value_text
from kmsd.operations.create import Create
from kmsd.operations.create_key_pair import CreateKeyPair
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.export import Export
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.import_ import Import
from kmsd.operations.register import Register
from kmsd.operations.rekey import ReKey
from kmsd.operations.rekey_key_pair import ReKeyKeyPair
from kmsd.ttlv import Item, ItemType, TtlvError
from tests.server import Kms
from tests.using_keys import known, known_secret, material, pair, revoke

ensure = pytest_twisted.ensureDeferred
KEK = bytes(range(32))
KEY = bytes(range(100, 132))

OAEP_SHA1 = CryptographicParameters(
    padding_method=PaddingMethod.OAEP, hashing_algorithm=HashingAlgorithm.SHA1
)
PKCS1 = CryptographicParameters(padding_method=PaddingMethod.PKCS1V15)
RSA_AES = CryptographicParameters(
    cryptographic_algorithm=CryptographicAlgorithm.AES,
    padding_method=PaddingMethod.OAEP,
    hashing_algorithm=HashingAlgorithm.SHA256,
)
KW = CryptographicParameters(block_cipher_mode=BlockCipherMode.NIST_KEY_WRAP)
KWP = CryptographicParameters(block_cipher_mode=BlockCipherMode.AES_KEY_WRAP_PADDING)
GCM = CryptographicParameters(block_cipher_mode=BlockCipherMode.GCM)

WAYS = {
    "AES": ("aes", None),
    "AES-KW": ("aes", KW),
    "AES-KWP": ("aes", KWP),
    "AES-GCM": ("aes", GCM),
    "RSA-OAEP": ("rsa", None),
    "RSA-OAEP-SHA1": ("rsa", OAEP_SHA1),
    "RSA-PKCS1": ("rsa", PKCS1),
    "RSA-AES": ("rsa", RSA_AES),
    "ECIES-P256": (RecommendedCurve.P256, None),
    "ECIES-P521": (RecommendedCurve.P521, None),
    "sealed box": (RecommendedCurve.CURVE25519, None),
    "sealed box, Ed25519": (RecommendedCurve.CURVE_ED25519, None),
}


ENCODINGS = [None, EncodingOption.NO_ENCODING, EncodingOption.TTLV_ENCODING]
STANDARDS = [
    (KW, aes_key_unwrap),
    (KWP, aes_key_unwrap_with_padding),
    (None, aes_key_unwrap_with_padding),
]


async def wrapping_pair(kms: Kms, kind: Any) -> tuple[str, str]:
    """Make a key that wraps; return the identifiers that wrap and unwrap."""
    if kind == "aes":
        await known(kms, KEK, uid="w")
        return "w", "w"
    if kind == "rsa":
        private, public = await pair(kms, CryptographicAlgorithm.RSA, 2048, uid="w")
    else:
        private, public = await pair(kms, CryptographicAlgorithm.ECDH, curve=kind, uid="w")
    return public, private


def wrapping(
    uid: str,
    parameters: CryptographicParameters | None = None,
    encoding: EncodingOption | None = None,
    names: tuple[str, ...] = (),
) -> KeyWrappingSpecification:
    return KeyWrappingSpecification(
        wrapping_method=WrappingMethod.ENCRYPT,
        encryption_key_information=EncryptionKeyInformation(
            unique_identifier=uid, cryptographic_parameters=parameters
        ),
        attribute_name=names,
        encoding_option=encoding,
    )


def wrapped_bytes(block: KeyBlock) -> bytes:
    """Return what a wrapped key block holds."""
    material = key_material(block)
    assert isinstance(material, bytes)
    return material


def wrapped_under(uid: str) -> Attributes:
    """Attributes that have a new key wrapped."""
    value = Item("AttributeValue", ItemType.TEXT_STRING, uid)
    return with_vendor(Attributes(), "wrapping_key_id", value)


@pytest.mark.parametrize(
    "encoding", [None, EncodingOption.NO_ENCODING, EncodingOption.TTLV_ENCODING]
)
@pytest.mark.parametrize("way", WAYS)
@ensure  # type: ignore[untyped-decorator]
async def test_a_key_goes_out_wrapped_and_comes_in_again(
    kms: Kms, way: str, encoding: EncodingOption | None
) -> None:
    """Export wraps, Import unwraps to the same key; the wrapped form is another than the key."""
    kind, parameters = WAYS[way]
    wraps, _ = await wrapping_pair(kms, kind)
    await known(kms, KEY)
    specification = wrapping(wraps, parameters, encoding)
    out = await kms(Export(unique_identifier="k", key_wrapping_specification=specification))
    block = out.managed_object.key_block
    assert KEY not in wrapped_bytes(block)
    assert block.key_wrapping_data.encoding_option is encoding
    back = Import(
        unique_identifier="back",
        object_type=ObjectType.SYMMETRIC_KEY,
        key_wrap_type=KeyWrapType.NOT_WRAPPED,
        managed_object=out.managed_object,
    )
    await kms(back)
    assert await material(kms, "back") == KEY


@pytest.mark.parametrize(
    ("parameters", "unwrap"),
    [(KW, aes_key_unwrap), (KWP, aes_key_unwrap_with_padding), (None, aes_key_unwrap_with_padding)],
)
@ensure  # type: ignore[untyped-decorator]
async def test_the_wrapped_bytes_are_those_of_the_standards(
    kms: Kms, parameters: CryptographicParameters | None, unwrap: Any
) -> None:
    """Others unwrap by RFC 3394 and RFC 5649; the default is the padded one."""
    await known(kms, KEK, uid="w")
    await known(kms, KEY)
    answer = await kms(
        Get(unique_identifier="k", key_wrapping_specification=wrapping("w", parameters))
    )
    assert unwrap(KEK, key_material(answer.managed_object.key_block)) == KEY


@pytest.mark.parametrize(
    ("algorithm", "bits", "curve"),
    [
        (CryptographicAlgorithm.RSA, 2048, None),
        (CryptographicAlgorithm.EC, None, RecommendedCurve.P384),
        (CryptographicAlgorithm.ED448, None, None),
        (CryptographicAlgorithm.ML_DSA_44, None, None),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
@pytest.mark.parametrize("encoding", [EncodingOption.NO_ENCODING, EncodingOption.TTLV_ENCODING])
@ensure  # type: ignore[untyped-decorator]
async def test_private_keys_survive_wrapping(
    kms: Kms, algorithm: Any, bits: int | None, curve: Any, encoding: EncodingOption
) -> None:
    """A wrapped private key that comes back is the same key."""
    await known(kms, KEK, uid="w")
    private, _ = await pair(kms, algorithm, bits, curve)
    plain = await kms(Get(unique_identifier=private, key_format_type=KeyFormatType.PKCS8))
    out = await kms(
        Export(unique_identifier=private, key_wrapping_specification=wrapping("w", None, encoding))
    )
    back = Import(
        unique_identifier="back",
        object_type=ObjectType.PRIVATE_KEY,
        key_wrap_type=KeyWrapType.NOT_WRAPPED,
        attributes=Attributes(
            cryptographic_domain_parameters=out.attributes.cryptographic_domain_parameters
        ),
        managed_object=out.managed_object,
    )
    await kms(back)
    again = await kms(Get(unique_identifier="back", key_format_type=KeyFormatType.PKCS8))
    assert key_material(again.managed_object.key_block) == key_material(
        plain.managed_object.key_block
    )


@ensure  # type: ignore[untyped-decorator]
async def test_additional_data_are_the_first_attribute_name(kms: Kms) -> None:
    """GCM authenticates it on the way out; on the way in the `aad` attribute must say the same."""
    await known(kms, KEK, uid="w")
    await known(kms, KEY)
    specification = wrapping("w", GCM, names=("context",))
    out = await kms(Get(unique_identifier="k", key_wrapping_specification=specification))
    value = Item("AttributeValue", ItemType.BYTE_STRING, b"context")
    back = Import(
        unique_identifier="back",
        object_type=ObjectType.SYMMETRIC_KEY,
        key_wrap_type=KeyWrapType.NOT_WRAPPED,
        managed_object=out.managed_object,
        attributes=with_vendor(Attributes(), "aad", value),
    )
    await kms(back)
    assert await material(kms, "back") == KEY
    other = Import(
        unique_identifier="other",
        object_type=ObjectType.SYMMETRIC_KEY,
        key_wrap_type=KeyWrapType.NOT_WRAPPED,
        managed_object=out.managed_object,
    )
    error = await kms.refused(other)
    assert error.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@ensure  # type: ignore[untyped-decorator]
async def test_4x_clients_get_the_json_text_of_the_key_value(kms: Kms) -> None:
    """What they call TTLV Encoding is JSON with bytes as numbers, and is understood again."""
    await known(kms, KEK, uid="w")
    await known(kms, KEY)
    client = kms.as_(Generation.V4)
    specification = wrapping("w", None, EncodingOption.TTLV_ENCODING)
    out = await client(Get(unique_identifier="k", key_wrapping_specification=specification))
    text = json.loads(aes_key_unwrap_with_padding(KEK, wrapped_bytes(out.managed_object.key_block)))
    assert text["KeyMaterial"] == {"ByteString": list(KEY)}
    back = Import(
        unique_identifier="back",
        object_type=ObjectType.SYMMETRIC_KEY,
        key_wrap_type=KeyWrapType.NOT_WRAPPED,
        managed_object=out.managed_object,
    )
    await client(back)
    assert await material(kms, "back") == KEY


def test_the_text_of_numbers_is_read_as_it_is_written() -> None:
    """Big integers are digits of 32 bits, the least significant first."""
    key = TransparentRSAPrivateKey(modulus=(1 << 2047) + 5, private_exponent=1 << 32, p=3)
    value = KeyValue(key_material=key, attributes=Attributes(cryptographic_length=2048))
    text = key_value_text.encode(value)
    found = json.loads(text)
    assert found["KeyMaterial"]["PrivateExponent"] == [0, 1]
    assert found["KeyMaterial"]["KeyTypeSer"] == "RsaPrivate"
    assert found["Attributes"] == {"CryptographicLength": 2048}
    again = key_value_text.decode(text, KeyFormatType.TRANSPARENT_RSA_PRIVATE_KEY)
    assert again.key_material == key


@pytest.mark.parametrize(
    "text", [b"{}", b'{"KeyMaterial":{"ByteString":[300]}}', b"[", b'{"KeyMaterial":7}']
)
def test_other_texts_are_no_key_values(text: bytes) -> None:
    """What does not parse is refused as a whole."""
    with pytest.raises(TtlvError):
        key_value_text.decode(text, KeyFormatType.RAW)


@ensure  # type: ignore[untyped-decorator]
async def test_new_keys_are_stored_wrapped_and_work_as_ever(kms: Kms) -> None:
    """Create, Create Key Pair, Register and Import wrap under the key that the attribute names."""
    await kms.key("w")
    asked = wrapped_under("w").attribute
    aes = CryptographicAlgorithm.AES
    await kms.key("created", attribute=asked)
    await kms(
        CreateKeyPair(
            common_attributes=Attributes(
                cryptographic_algorithm=CryptographicAlgorithm.ED25519, attribute=asked
            ),
            private_key_attributes=Attributes(unique_identifier="pair"),
        )
    )
    await known(kms, KEY, uid="registered", attribute=asked)
    block = KeyBlock(
        key_format_type=KeyFormatType.RAW,
        key_value=KeyValue(key_material=KEY),
        cryptographic_algorithm=aes,
    )
    await kms(
        Import(
            unique_identifier="imported",
            object_type=ObjectType.SYMMETRIC_KEY,
            attributes=Attributes(attribute=asked, activation_date=int(kms.clock.now) - 1),
            managed_object=SymmetricKey(key_block=block),
        )
    )
    for uid in ("created", "pair", "registered", "imported"):
        record = await kms.store.get(uid)
        assert record is not None
        held = record.managed_object
        assert isinstance(held, SymmetricKey | PrivateKey)
        assert held.key_block.key_wrapping_data is not None
        links = {link.link_type: link.linked_object_identifier for link in record.attributes.link}
        assert links[LinkType.WRAPPING_KEY_LINK] == "w"
    for uid in ("created", "registered", "imported"):
        await kms(Encrypt(unique_identifier=uid, data=b"text"))
    public = await kms.store.get("pair_pk")
    assert public is not None
    assert not any(link.link_type is LinkType.WRAPPING_KEY_LINK for link in public.attributes.link)


@ensure  # type: ignore[untyped-decorator]
async def test_the_wrapping_key_must_be_fit_and_the_callers(kms: Kms) -> None:
    """Not without a right, not under a key that is revoked or gone, and never under itself."""
    await kms.key("w")
    await known(kms, KEY)
    get = Get(unique_identifier="k", key_wrapping_specification=wrapping("w"))
    await kms.store.grant("k", "bob", frozenset({"get"}))
    error = await kms.by("bob").refused(get)
    assert error.reason is ResultReason.WRAPPING_OBJECT_NOT_FOUND
    await kms.store.grant("w", "bob", frozenset({"encrypt"}))
    await kms.by("bob")(get)
    error = await kms.refused(
        Create(
            object_type=ObjectType.SYMMETRIC_KEY,
            attributes=Attributes(
                unique_identifier="self",
                cryptographic_algorithm=CryptographicAlgorithm.AES,
                attribute=wrapped_under("self").attribute,
            ),
        )
    )
    assert "cannot wrap itself" in error.message
    await revoke(kms, "w")
    error = await kms.refused(get)
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_a_sensitive_key_leaves_wrapped_only(kms: Kms) -> None:
    """A KeyWrappingSpecification is what lets it out."""
    await kms.key("w")
    await known(kms, KEY, sensitive=True)
    error = await kms.refused(Get(unique_identifier="k"))
    assert error.reason is ResultReason.SENSITIVE
    await kms(Get(unique_identifier="k", key_wrapping_specification=wrapping("w")))


@ensure  # type: ignore[untyped-decorator]
async def test_what_was_wrapped_outside_stays_as_it_came(kms: Kms) -> None:
    """A key wrapped with a client's password comes and goes untouched, and cannot be used here."""
    block = KeyBlock(
        key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
        key_value=KeyValue(key_material=b"\x17" * 40),
        cryptographic_algorithm=CryptographicAlgorithm.AES,
        cryptographic_length=256,
        key_wrapping_data=KeyWrappingData(
            wrapping_method=WrappingMethod.ENCRYPT, encoding_option=EncodingOption.NO_ENCODING
        ),
    )
    sent = SymmetricKey(key_block=block)
    attributes = Attributes(activation_date=int(kms.clock.now) - 1)
    await kms(
        Import(
            unique_identifier="k",
            object_type=ObjectType.SYMMETRIC_KEY,
            attributes=attributes,
            managed_object=sent,
        )
    )
    assert (await kms(Get(unique_identifier="k"))).managed_object == sent
    for request in (Encrypt(unique_identifier="k", data=b"x"), ReKey(unique_identifier="k")):
        error = await kms.refused(request)
        assert error.reason is ResultReason.WRAPPING_OBJECT_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_secrets_can_be_wrapped_too(kms: Kms) -> None:
    """Secret Data goes out wrapped."""
    await known(kms, KEK, uid="w")
    await known_secret(kms, b"correct horse")
    answer = await kms(Get(unique_identifier="s", key_wrapping_specification=wrapping("w")))
    assert isinstance(answer.managed_object, SecretData)
    wrapped = wrapped_bytes(answer.managed_object.key_block)
    assert aes_key_unwrap_with_padding(KEK, wrapped) == b"correct horse"


async def wrapping_links(kms: Kms, uid: str) -> list[str | None]:
    attributes = (await kms(GetAttributes(unique_identifier=uid))).attributes
    return [
        link.linked_object_identifier
        for link in attributes.link
        if link.link_type is LinkType.WRAPPING_KEY_LINK
    ]


@pytest.mark.parametrize("kind", ["aes", "rsa", RecommendedCurve.P256])
@ensure  # type: ignore[untyped-decorator]
async def test_what_a_rotated_key_wraps_is_wrapped_anew(kms: Kms, kind: Any) -> None:
    """Whoever owns it: after the rotation the old wrapping key can be destroyed without loss."""
    wraps, unwraps = await wrapping_pair(kms, kind)
    await kms.store.grant(wraps, "bob", frozenset({"encrypt"}))
    await kms.store.grant(unwraps, "bob", frozenset({"decrypt"}))
    await kms.key("mine", attribute=wrapped_under(wraps).attribute)
    await kms.by("bob").key("bobs", attribute=wrapped_under(wraps).attribute)
    if kind == "aes":
        new = (await kms(ReKey(unique_identifier="w"))).unique_identifier
    else:
        answer = await kms(ReKeyKeyPair(private_key_unique_identifier=unwraps))
        new = answer.public_key_unique_identifier
    await kms(Destroy(unique_identifier=unwraps))
    assert await wrapping_links(kms, "mine") == [new]
    await kms(Encrypt(unique_identifier="mine", data=b"text"))
    await kms.by("bob")(Encrypt(unique_identifier="bobs", data=b"text"))
    record = await kms.store.get("bobs")
    assert record is not None
    assert record.owner == "bob"


@ensure  # type: ignore[untyped-decorator]
async def test_a_rotation_ahead_of_time_leaves_dependants_alone(kms: Kms) -> None:
    """A key that is not active yet unwraps nothing: until then the old one does."""
    await kms.key("w")
    await kms.key("k", attribute=wrapped_under("w").attribute)
    await kms(ReKey(unique_identifier="w", offset=60))
    assert await wrapping_links(kms, "k") == ["w"]
    await kms(Encrypt(unique_identifier="k", data=b"text"))
    kms.clock.now += 60
    await kms(Encrypt(unique_identifier="k", data=b"text"))


@ensure  # type: ignore[untyped-decorator]
async def test_a_false_dependant_does_not_hinder_a_rotation(kms: Kms) -> None:
    """An object that claims to be wrapped by another's key, and is not, is left as it is."""
    await kms.key("w")
    block = KeyBlock(
        key_format_type=KeyFormatType.TRANSPARENT_SYMMETRIC_KEY,
        key_value=KeyValue(key_material=b"\x17" * 40),
        key_wrapping_data=KeyWrappingData(
            wrapping_method=WrappingMethod.ENCRYPT,
            encryption_key_information=EncryptionKeyInformation(unique_identifier="w"),
        ),
    )
    await kms.by("mallory")(
        Import(
            unique_identifier="false",
            object_type=ObjectType.SYMMETRIC_KEY,
            managed_object=SymmetricKey(key_block=block),
        )
    )
    await kms(ReKey(unique_identifier="w"))
    assert await wrapping_links(kms.by("mallory"), "false") == ["w"]


@ensure  # type: ignore[untyped-decorator]
async def test_the_successor_of_a_wrapped_key_is_wrapped_like_it(kms: Kms) -> None:
    """Its replaced key comes first among the links, then what wraps it."""
    await kms.key("w")
    await kms.key("k", attribute=wrapped_under("w").attribute)
    new = (await kms(ReKey(unique_identifier="k"))).unique_identifier
    answer = await kms(Get(unique_identifier=new))
    assert answer.managed_object.key_block.key_wrapping_data is not None
    attributes = (await kms(GetAttributes(unique_identifier=new))).attributes
    assert attributes.link[0].link_type is LinkType.REPLACED_OBJECT_LINK
    assert await wrapping_links(kms, new) == ["w"]
    assert attributes.state is State.ACTIVE
    await kms(Encrypt(unique_identifier=new, data=b"text"))


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_clients_renewed_key_takes_its_dependants_along(kms: Kms) -> None:
    """The old value is gone: all that it wrapped is wrapped anew with it."""
    client = kms.as_(Generation.V4)
    await client.key("w", activation_date=None)
    await client.key("k", activation_date=None, attribute=wrapped_under("w").attribute)
    before = await kms.store.get("k")
    await client(ReKey(unique_identifier="w"))
    after = await kms.store.get("k")
    assert before is not None
    assert after is not None
    assert after.managed_object != before.managed_object
    await client(Encrypt(unique_identifier="k", data=b"text"))


@ensure  # type: ignore[untyped-decorator]
async def test_a_private_key_wraps_by_its_public_half_and_the_other_way_round(kms: Kms) -> None:
    """Either half may be named."""
    private, public = await pair(kms, CryptographicAlgorithm.RSA, 2048, uid="w")
    await known(kms, KEY)
    out = await kms(Get(unique_identifier="k", key_wrapping_specification=wrapping(private)))
    data = out.managed_object.key_block.key_wrapping_data
    assert data.encryption_key_information.unique_identifier == private
    await kms(
        Import(
            unique_identifier="back",
            object_type=ObjectType.SYMMETRIC_KEY,
            key_wrap_type=KeyWrapType.NOT_WRAPPED,
            managed_object=out.managed_object,
        )
    )
    assert await material(kms, "back") == KEY
    assert public == "w_pk"


@ensure  # type: ignore[untyped-decorator]
async def test_a_mode_is_no_matter_of_public_keys(kms: Kms) -> None:
    """A BlockCipherMode with a public wrapping key is refused."""
    _, public = await pair(kms, CryptographicAlgorithm.RSA, 2048, uid="w")
    await known(kms, KEY)
    specification = wrapping(public, GCM)
    error = await kms.refused(Get(unique_identifier="k", key_wrapping_specification=specification))
    assert error.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS


@ensure  # type: ignore[untyped-decorator]
async def test_register_needs_an_object_all_the_same(kms: Kms) -> None:
    """To ask for wrapping does not make up for a missing key."""
    await kms.key("w")
    asked = Attributes(attribute=wrapped_under("w").attribute)
    error = await kms.refused(Register(object_type=ObjectType.SYMMETRIC_KEY, attributes=asked))
    assert error.reason is ResultReason.INVALID_OBJECT_TYPE
