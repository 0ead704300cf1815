"""Derive Key: methods, links, what it needs of the base key."""

import hashlib
import hmac
from typing import Any

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BlockCipherMode,
    DerivationMethod,
    HashingAlgorithm,
    LinkType,
    ObjectType,
    PaddingMethod,
    RecommendedCurve,
    ResultReason,
)
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.call import Call, Caller
from kmsd.operations.derive_key import DerivationParameters, DeriveKey
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.secret import secret
from tests.server import NOW, Kms
from tests.using_keys import known, known_secret, material, pair, revoke

ensure = pytest_twisted.ensureDeferred
KEY = b"\x0b" * 32


def request(
    method: DerivationMethod,
    *bases: str,
    kind: ObjectType = ObjectType.SYMMETRIC_KEY,
    bits: int | None = 256,
    algorithm: Algorithm | None = Algorithm.AES,
    **parameters: Any,
) -> DeriveKey:
    """Return a request for a key derived from `bases`."""
    return DeriveKey(
        object_type=kind,
        unique_identifier=bases or ("k",),
        derivation_method=method,
        derivation_parameters=DerivationParameters(**parameters),
        attributes=Attributes(
            cryptographic_algorithm=algorithm,
            cryptographic_length=bits,
            activation_date=NOW - 1,
        ),
    )


def hashed(algorithm: HashingAlgorithm) -> CryptographicParameters:
    return CryptographicParameters(hashing_algorithm=algorithm)


async def derived(kms: Kms, wanted: DeriveKey) -> bytes:
    """Derive a key and return its bytes."""
    return await material(kms, (await kms(wanted)).unique_identifier)


@ensure  # type: ignore[untyped-decorator]
async def test_pbkdf2_is_that_of_the_standard_library(kms: Kms) -> None:
    """With the hash function asked for, and SHA-256 where none is."""
    await known_secret(kms, b"password", uid="k")
    named = request(
        DerivationMethod.PBKDF2,
        salt=b"salt",
        iteration_count=10,
        cryptographic_parameters=hashed(HashingAlgorithm.SHA512),
    )
    assert await derived(kms, named) == hashlib.pbkdf2_hmac("sha512", b"password", b"salt", 10, 32)
    unnamed = request(DerivationMethod.PBKDF2, salt=b"salt", iteration_count=10, bits=128)
    assert await derived(kms, unnamed) == hashlib.pbkdf2_hmac(
        "sha256", b"password", b"salt", 10, 16
    )


@ensure  # type: ignore[untyped-decorator]
async def test_hkdf_is_that_of_rfc_5869(kms: Kms) -> None:
    """Appendix A.1, whose 42 bytes are asked for as secret data."""
    await known(kms, b"\x0b" * 22, Algorithm.HMAC_SHA256)
    wanted = request(
        DerivationMethod.HKDF,
        kind=ObjectType.SECRET_DATA,
        algorithm=None,
        bits=42 * 8,
        salt=bytes(range(13)),
        derivation_data=(bytes(range(0xF0, 0xFA)),),
    )
    assert (await derived(kms, wanted)).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def counter_mode(key: bytes, data: bytes) -> bytes:
    """SP 800-108 §4.1, by hand."""
    return hmac.digest(key, b"\0\0\0\1" + data, "sha256")


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        (DerivationMethod.NIST800_108_C, {"derivation_data": (b"x",)}, counter_mode(KEY, b"x")),
        (
            DerivationMethod.HMAC,
            {"derivation_data": (b"x", b"y")},
            hmac.digest(KEY, b"xy", "sha256"),
        ),
        (DerivationMethod.HASH, {"derivation_data": (b"x",)}, hashlib.sha256(b"x").digest()),
        (DerivationMethod.HASH, {}, hashlib.sha256(KEY).digest()),
    ],
    ids=["SP 800-108 counter", "HMAC", "hash of data", "hash of the key"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_other_methods(
    kms: Kms, method: DerivationMethod, parameters: dict[str, Any], expected: bytes
) -> None:
    """Each method is what its document says."""
    await known(kms, KEY)
    assert await derived(kms, request(method, **parameters)) == expected


@ensure  # type: ignore[untyped-decorator]
async def test_encryption_derives_a_key_with_the_mode_asked_for(kms: Kms) -> None:
    """FIPS 197 appendix C.1: the ciphertext is the key."""
    await known(kms, bytes(range(16)))
    ecb = CryptographicParameters(
        block_cipher_mode=BlockCipherMode.ECB, padding_method=PaddingMethod.NONE
    )
    data = bytes.fromhex("00112233445566778899aabbccddeeff")
    wanted = request(
        DerivationMethod.ENCRYPT, bits=128, cryptographic_parameters=ecb, derivation_data=(data,)
    )
    assert (await derived(kms, wanted)).hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


@pytest.mark.parametrize(
    ("algorithm", "curve"),
    [
        (Algorithm.ECDH, RecommendedCurve.P256),
        (Algorithm.ECDH, RecommendedCurve.CURVE25519),
    ],
    ids=["P-256", "X25519"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_two_parties_agree_on_one_key(
    kms: Kms, algorithm: Algorithm, curve: RecommendedCurve
) -> None:
    """Each takes its own private key and the other's public one."""
    mine, my_public = await pair(kms, algorithm, curve=curve, uid="a")
    theirs, their_public = await pair(kms, algorithm, curve=curve, uid="b")
    method = DerivationMethod.ASYMMETRIC_KEY
    one = await derived(kms, request(method, mine, their_public))
    assert one == await derived(kms, request(method, theirs, my_public))
    assert one != await derived(kms, request(method, mine, my_public))


@ensure  # type: ignore[untyped-decorator]
async def test_secret_data_stands_for_the_derivation_data(kms: Kms) -> None:
    """The second object named is what is hashed; to give both is refused."""
    await known(kms, KEY)
    await known_secret(kms, b"data")
    wanted = request(DerivationMethod.HMAC, "k", "s")
    assert await derived(kms, wanted) == hmac.digest(KEY, b"data", "sha256")
    both = request(DerivationMethod.HMAC, "k", "s", derivation_data=(b"",))
    assert (await kms.refused(both)).reason is ResultReason.INVALID_MESSAGE


@ensure  # type: ignore[untyped-decorator]
async def test_the_aws_signing_key_is_that_of_amazons_example(kms: Kms) -> None:
    """The example of AWS's documentation: date, region and service in this order."""
    await known_secret(kms, b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", uid="k")
    wanted = request(
        DerivationMethod.AWS_SIGNATURE_VERSION_4,
        algorithm=Algorithm.HMAC_SHA256,
        derivation_data=(b"20120215", b"us-east-1", b"iam"),
    )
    assert (await derived(kms, wanted)).hex() == (
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    )


@ensure  # type: ignore[untyped-decorator]
async def test_base_and_derived_key_are_linked_both_ways(kms: Kms) -> None:
    """Derivation Base Object on the new key, Derived Key on the base (KMIP 2.1 §6.1.14)."""
    await known(kms, KEY)
    made = (await kms(request(DerivationMethod.HASH))).unique_identifier
    assert made.startswith("derived-")
    links = []
    for uid in ("k", made):
        answer = await kms(GetAttributes(unique_identifier=uid))
        links += [
            (uid, link.link_type, link.linked_object_identifier) for link in answer.attributes.link
        ]
    assert links == [
        ("k", LinkType.DERIVED_KEY_LINK, made),
        (made, LinkType.DERIVATION_BASE_OBJECT_LINK, "k"),
    ]


@ensure  # type: ignore[untyped-decorator]
async def test_the_products_clients_name_the_base_otherwise(kms: Kms) -> None:
    """ObjectUniqueIdentifier does for UniqueIdentifier."""
    await known(kms, KEY)
    wanted = DeriveKey(
        object_type=ObjectType.SYMMETRIC_KEY,
        object_unique_identifier="k",
        derivation_method=DerivationMethod.HASH,
        derivation_parameters=DerivationParameters(),
        attributes=Attributes(
            cryptographic_algorithm=Algorithm.AES,
            cryptographic_length=128,
            unique_identifier="mine",
        ),
    )
    assert (await kms(wanted)).unique_identifier == "mine"


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_must_be_allowed_to_derive(kms: Kms) -> None:
    """The mask's Derive Key bit, the Active state and the caller's right are all needed."""
    await known(kms, KEY, uid="no", cryptographic_usage_mask=Mask.ENCRYPT | Mask.KEY_AGREEMENT)
    await known(kms, KEY)
    hash_ = DerivationMethod.HASH
    masked = await kms.refused(request(hash_, "no"))
    assert masked.reason is ResultReason.INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK
    stranger = await kms.by("mallory").refused(request(hash_))
    assert stranger.reason is ResultReason.OBJECT_NOT_FOUND
    await revoke(kms, "k")
    revoked = await kms.refused(request(hash_))
    assert revoked.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (request(DerivationMethod.HASH, bits=None), ResultReason.INVALID_ATTRIBUTE_VALUE),
        (request(DerivationMethod.HASH, bits=100), ResultReason.INVALID_ATTRIBUTE_VALUE),
        (request(DerivationMethod.HASH, bits=136), ResultReason.INVALID_ATTRIBUTE_VALUE),
        (request(DerivationMethod.HASH, algorithm=None), ResultReason.INVALID_MESSAGE),
        (
            request(DerivationMethod.HASH, kind=ObjectType.PRIVATE_KEY),
            ResultReason.INVALID_OBJECT_TYPE,
        ),
        (
            request(DerivationMethod.HASH, bits=512),
            ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS,
        ),
        (
            request(DerivationMethod.PBKDF2, iteration_count=1),
            ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS,
        ),
        (
            request(DerivationMethod.PBKDF2, salt=b"s", iteration_count=1 << 30),
            ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS,
        ),
        (request(DerivationMethod.HASH, "k", "k", "k"), ResultReason.INVALID_MESSAGE),
        (request(DerivationMethod.ASYMMETRIC_KEY, "p"), ResultReason.INVALID_MESSAGE),
        (request(DerivationMethod.HASH, "nobody"), ResultReason.OBJECT_NOT_FOUND),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_wrong_request_derives_nothing(
    kms: Kms, wanted: DeriveKey, reason: ResultReason
) -> None:
    """Lengths, names, methods and parameters are checked; work without end is never begun."""
    await known(kms, KEY)
    await pair(kms, Algorithm.ECDH, curve=RecommendedCurve.P256)
    assert (await kms.refused(wanted)).reason is reason


@ensure  # type: ignore[untyped-decorator]
async def test_a_base_key_keeps_a_bounded_number_of_links(
    kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key does not grow with each of thousands derived from it; those all link to it."""
    monkeypatch.setattr("kmsd.operations.derive_key._MOST_LINKS", 2)
    await known(kms, KEY)
    for _ in range(4):
        await kms(request(DerivationMethod.HASH))
    answer = await kms(GetAttributes(unique_identifier="k"))
    assert len(answer.attributes.link) == 2


@ensure  # type: ignore[untyped-decorator]
async def test_an_agreement_gives_no_more_than_it_has(kms: Kms) -> None:
    """32 bytes of P-256; what is longer must come from a derivation of them."""
    await pair(kms, Algorithm.ECDH, curve=RecommendedCurve.P256)
    wanted = request(DerivationMethod.ASYMMETRIC_KEY, "p", "p_pk", bits=512)
    refused = await kms.refused(wanted)
    assert refused.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS


@ensure  # type: ignore[untyped-decorator]
async def test_only_symmetric_keys_and_secret_data_are_bytes_to_derive_from(kms: Kms) -> None:
    """Whatever a row lets through, a public key is no secret."""
    await pair(kms, Algorithm.ECDH, curve=RecommendedCurve.P256)
    record = await kms.store.get("p_pk")
    assert record is not None
    call = Call(Caller("alice"), kms.store, kms.engine.services, NOW)
    with pytest.raises(KmipError, match="neither a symmetric key nor secret data"):
        await secret(call, record)
