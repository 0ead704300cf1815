"""Keys made, described, exported in every format and loaded again; malformed ones refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from kmsd.crypto import formats, generate, jwk, pkcs12, pqc, transparent
from kmsd.crypto.keys import CURVES, Key, PrivateKey, describe
from kmsd.kmip import objects
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import KeyFormatType as Format
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

KINDS = [
    (Algorithm.RSA, None),
    *((Algorithm.ECDH, curve) for curve in sorted(generate.NEW_CURVES)),
    *((row.algorithm, None) for row in pqc.PARAMETER_SETS),
]
NAMES = [f"{algorithm.name}-{curve.name if curve else ''}" for algorithm, curve in KINDS]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=NAMES)
Kind = tuple[Algorithm, Curve | None]


@cache
def key_of(kind: Kind) -> PrivateKey:
    algorithm, curve = kind
    return generate.generate_pair(algorithm, 2048 if algorithm is Algorithm.RSA else None, curve)


@cache
def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(2048)


def halves(key: PrivateKey) -> list[tuple[Key, Callable[..., Key]]]:
    return [(key, formats.load_private), (key.public_key(), formats.load_public)]


def exportable(key: Key, wanted: Format) -> objects.KeyBlock | None:
    try:
        return formats.key_block(key, wanted)
    except KmipError as error:
        if error.reason is ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED:
            return None
        raise


@each_kind
def test_a_key_loads_from_every_format_it_exports_to(kind: Kind) -> None:
    for half, load in halves(key_of(kind)):
        supported = []
        for wanted in Format:
            block = exportable(half, wanted)
            if block is None or (wanted is Format.RAW and kind[1] in CURVES):
                continue  # raw scalars need their curve told: below
            for trusted in (False, True):
                assert formats.export(load(block, trusted=trusted)) == formats.export(half)
            supported.append(wanted)
        assert formats.default_format(half) in supported
        assert Format.PKCS8 in supported


@each_kind
def test_a_key_block_says_algorithm_length_and_default_format(kind: Kind) -> None:
    block = formats.key_block(key_of(kind))
    described = describe(key_of(kind))
    assert (block.cryptographic_algorithm, block.cryptographic_length) == described[:2]
    assert block.key_format_type is formats.default_format(key_of(kind))


def test_descriptions_are_what_kmip_calls_keys() -> None:
    assert describe(key_of((Algorithm.RSA, None))) == (Algorithm.RSA, 2048, None)
    assert describe(key_of((Algorithm.ECDH, Curve.P521))) == (Algorithm.ECDH, 521, Curve.P521)
    assert describe(key_of((Algorithm.ECDH, Curve.P256)), Algorithm.ECDSA).algorithm is (
        Algorithm.ECDSA
    )
    assert describe(key_of((Algorithm.ECDH, Curve.CURVE25519))) == (
        Algorithm.ECDH,
        256,
        Curve.CURVE25519,
    )
    assert describe(key_of((Algorithm.SLH_DSA_SHA2_128S, None))).length_bits == 128
    assert describe(dsa_key()) == (Algorithm.DSA, 2048, None)


def test_a_public_point_is_compressed_and_a_scalar_padded() -> None:
    key = key_of((Algorithm.ECDH, Curve.P521))
    material = formats.export(key.public_key())
    assert isinstance(material, objects.TransparentECPublicKey)
    assert len(material.q_string) == 67
    assert material.q_string[0] in {2, 3}
    assert len(formats.wrapped_form(key)) == 66
    assert formats.wrapped_form(key.public_key()) == material.q_string


@pytest.mark.parametrize("curve", sorted(generate.NEW_CURVES))
def test_raw_bytes_load_with_the_curve_of_their_attributes(curve: Curve) -> None:
    from kmsd.kmip.attributes import Attributes
    from kmsd.kmip.structures import CryptographicDomainParameters

    domain = CryptographicDomainParameters(recommended_curve=curve)
    for half, load in halves(key_of((Algorithm.ECDH, curve))):
        value = objects.KeyValue(
            key_material=formats.export(half, Format.RAW),
            attributes=Attributes(cryptographic_domain_parameters=domain),
        )
        block = objects.KeyBlock(
            key_format_type=Format.RAW, key_value=value, cryptographic_algorithm=Algorithm.ECDH
        )
        assert formats.export(load(block)) == formats.export(half)


@pytest.mark.parametrize("curve", [Curve.CURVE25519, Curve.CURVE448, Curve.CURVE_ED25519])
def test_raw_bytes_of_one_length_only_need_no_curve(curve: Curve) -> None:
    key = key_of((Algorithm.ECDH, curve))
    named = describe(key).algorithm
    block = formats.key_block(key, Format.RAW, algorithm=named)
    assert formats.export(formats.load_private(block)) == formats.export(key)


def test_a_dsa_key_is_loaded_from_numbers_and_from_der() -> None:
    for half, load in halves(dsa_key()):
        for wanted in (
            Format.PKCS8,
            Format.TRANSPARENT_DSA_PRIVATE_KEY
            if half is dsa_key()
            else Format.TRANSPARENT_DSA_PUBLIC_KEY,
        ):
            block = formats.key_block(half, wanted)
            assert formats.export(load(block), wanted) == formats.export(half, wanted)
    assert formats.wrapped_form(dsa_key()) == formats.export(dsa_key(), Format.PKCS8)


def test_an_rsa_key_of_modulus_and_exponents_alone_gets_its_primes_back() -> None:
    key = key_of((Algorithm.RSA, None))
    whole = formats.export(key, Format.TRANSPARENT_RSA_PRIVATE_KEY)
    assert isinstance(whole, objects.TransparentRSAPrivateKey)
    for lean in (
        objects.TransparentRSAPrivateKey(
            modulus=whole.modulus, private_exponent=whole.private_exponent
        ),
        objects.TransparentRSAPrivateKey(modulus=whole.modulus, p=whole.p, q=whole.q),
    ):
        loaded = formats.load_private(
            block_of(Format.TRANSPARENT_RSA_PRIVATE_KEY, lean, Algorithm.RSA)
        )
        assert loaded.public_key() == key.public_key()


def block_of(
    wanted: Format, material: objects.KeyMaterial, algorithm: Algorithm | None = None
) -> objects.KeyBlock:
    return objects.KeyBlock(
        key_format_type=wanted,
        key_value=objects.KeyValue(key_material=material),
        cryptographic_algorithm=algorithm,
    )


def ec_private(curve: Curve, d: int) -> objects.KeyBlock:
    material = objects.TransparentECPrivateKey(recommended_curve=curve, d=d)
    return block_of(Format.TRANSPARENT_EC_PRIVATE_KEY, material, Algorithm.EC)


def ec_public(curve: Curve, q_string: bytes) -> objects.KeyBlock:
    material = objects.TransparentECPublicKey(recommended_curve=curve, q_string=q_string)
    return block_of(Format.TRANSPARENT_EC_PUBLIC_KEY, material, Algorithm.EC)


def rsa_private(**changes: int | None) -> objects.KeyBlock:
    whole = formats.export(key_of((Algorithm.RSA, None)), Format.TRANSPARENT_RSA_PRIVATE_KEY)
    assert isinstance(whole, objects.TransparentRSAPrivateKey)
    fields: dict[str, Any] = {name: getattr(whole, name) for name in whole.__struct_fields__}
    material = objects.TransparentRSAPrivateKey(**(fields | changes))
    return block_of(Format.TRANSPARENT_RSA_PRIVATE_KEY, material, Algorithm.RSA)


def mismatched_ec() -> bytes:
    """A SEC1 key whose public point belongs to another key."""
    one, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = one.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    form = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    mine, theirs = (key.public_key().public_bytes(*form) for key in (one, other))
    return der.replace(mine, theirs)


N = 2**2048 - 1
PRIME = 2**2203 - 1  # a Mersenne prime


def dsa_private(**changes: int) -> objects.KeyBlock:
    whole = formats.export(dsa_key(), Format.TRANSPARENT_DSA_PRIVATE_KEY)
    assert isinstance(whole, objects.TransparentDSAPrivateKey)
    fields = {name: getattr(whole, name) for name in whole.__struct_fields__}
    material = objects.TransparentDSAPrivateKey(**(fields | changes))
    return block_of(Format.TRANSPARENT_DSA_PRIVATE_KEY, material, Algorithm.DSA)


MALFORMED = {
    "DSA with a secret of a megabyte": dsa_private(x=1 << 2**23),
    "DSA with a zero secret": dsa_private(x=0),
    "DSA with a long order": dsa_private(q=1 << 5000),
    "DSA of 512 bits": dsa_private(p=2**512 - 1),
    "RSA with an exponent of a megabyte": rsa_private(p=None, private_exponent=1 << 2**23),
    "RSA of a prime modulus": rsa_private(
        modulus=PRIME, private_exponent=pow(65537, -1, PRIME - 1), p=None
    ),
    "RSA with an even exponent": rsa_private(public_exponent=2, p=None),
    "RSA whose exponents do not fit": rsa_private(private_exponent=12345, p=None),
    "garbage as PKCS#8": block_of(Format.PKCS8, b"garbage"),
    "a truncated PKCS#8": block_of(
        Format.PKCS8, formats.wrapped_form(key_of((Algorithm.RSA, None)))[:-1]
    ),
    "garbage as PKCS#12": block_of(Format.PKCS12, b"garbage"),
    "an EC scalar of zero": ec_private(Curve.P256, 0),
    "a negative EC scalar": ec_private(Curve.P256, -1),
    "an EC scalar beyond the order": ec_private(Curve.P256, 2**256 - 1),
    "a curve that is not offered": ec_private(Curve.B163, 5),
    "an X25519 scalar too long": ec_private(Curve.CURVE25519, 2**256),
    "SEC1 with another key's point": block_of(Format.EC_PRIVATE_KEY, mismatched_ec()),
    "RSA without exponent and primes": rsa_private(p=None, private_exponent=None),
    "RSA with a wrong prime": rsa_private(p=2**1024 - 1),
    "RSA with a wrong exponent": rsa_private(private_exponent=5),
    "RSA of 512 bits": rsa_private(modulus=2**512 - 1),
    "RSA of 16384 bits": rsa_private(modulus=2**16384 - 1),
    "a negative RSA modulus": rsa_private(modulus=-N),
    "an ML-DSA key too short": block_of(Format.RAW, b"x" * 31, Algorithm.ML_DSA_44),
    "an SLH-DSA key too long": block_of(Format.RAW, b"x" * 65, Algorithm.SLH_DSA_SHA2_128S),
    "raw bytes that name no curve": block_of(Format.RAW, b"x" * 33, Algorithm.EC),
    "no material": objects.KeyBlock(key_format_type=Format.PKCS8, key_value=objects.KeyValue()),
    "a public key": formats.key_block(key_of((Algorithm.RSA, None)).public_key(), Format.PKCS8),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_private_key_is_an_invalid_field(what: str) -> None:
    with pytest.raises(KmipError, match="invalid KeyMaterial") as caught:
        formats.load_private(MALFORMED[what])
    assert caught.value.reason is ResultReason.INVALID_FIELD


@pytest.mark.parametrize(
    "block",
    [
        block_of(Format.PKCS8, b"garbage"),
        ec_public(Curve.P256, b"\x02" + b"\xff" * 32),
        ec_public(Curve.P256, b""),
        ec_public(Curve.CURVE25519, b"x" * 31),
        block_of(Format.RAW, b"\xff" * 1184, Algorithm.ML_KEM_768),
        block_of(Format.RAW, b"x", Algorithm.ML_KEM_512),
        block_of(
            Format.TRANSPARENT_RSA_PUBLIC_KEY,
            objects.TransparentRSAPublicKey(modulus=2**9000 - 1, public_exponent=65537),
        ),
        block_of(
            Format.TRANSPARENT_RSA_PUBLIC_KEY,
            objects.TransparentRSAPublicKey(modulus=N, public_exponent=2),
        ),
        formats.key_block(key_of((Algorithm.ECDH, Curve.P256)), Format.TRANSPARENT_EC_PRIVATE_KEY),
        block_of(Format.X509, b"\x30\x00"),
    ],
)
def test_a_malformed_public_key_is_an_invalid_field(block: objects.KeyBlock) -> None:
    with pytest.raises(KmipError, match="invalid KeyMaterial"):
        formats.load_public(block)


def test_primes_are_found_whatever_multiple_the_exponent_was_made_with() -> None:
    """The private exponent may be the inverse modulo phi(n) or modulo lambda(n)."""
    for _ in range(5):
        numbers = rsa.generate_private_key(65537, 2048).private_numbers()
        p, q, n = numbers.p, numbers.q, numbers.public_numbers.n
        phi = (p - 1) * (q - 1)
        for modulus in (phi, math.lcm(p - 1, q - 1)):
            found = transparent._primes(n, 65537, pow(65537, -1, modulus))
            assert set(found) == {p, q}


def test_diffie_hellman_over_integers_is_not_supported() -> None:
    material = objects.TransparentDHPublicKey(p=23, g=5, y=8)
    with pytest.raises(KmipError, match="unsupported KeyFormatType"):
        formats.load_public(block_of(Format.TRANSPARENT_DH_PUBLIC_KEY, material))


@given(data=st.binary(max_size=120))
def test_random_bytes_are_refused_in_every_loader(data: bytes) -> None:
    for load in (formats.load_private_der, formats.load_public_der, pkcs12.load_pkcs12):
        with pytest.raises(KmipError):
            load(data)


def test_a_wrapped_key_block_is_not_loaded() -> None:
    from kmsd.kmip.enums import WrappingMethod
    from kmsd.kmip.structures import KeyWrappingData

    block = objects.KeyBlock(
        key_format_type=Format.RAW,
        key_value=b"x" * 24,
        key_wrapping_data=KeyWrappingData(wrapping_method=WrappingMethod.ENCRYPT),
    )
    for load in (formats.load_symmetric, formats.load_private, formats.load_public):
        with pytest.raises(KmipError, match="the key is wrapped"):
            load(block)


@pytest.mark.parametrize(("bits", "size"), [(256, 32), (None, 5)])
def test_symmetric_keys_are_bytes_of_the_announced_length(bits: int | None, size: int) -> None:
    for wanted in (Format.RAW, Format.TRANSPARENT_SYMMETRIC_KEY):
        material = formats.symmetric_material(b"k" * size, wanted)
        block = objects.KeyBlock(
            key_format_type=wanted,
            key_value=objects.KeyValue(key_material=material),
            cryptographic_length=bits,
        )
        assert formats.load_symmetric(block) == b"k" * size


def test_3des_lengths_count_with_or_without_parity() -> None:
    for bits in (168, 192):
        block = objects.KeyBlock(
            key_format_type=Format.RAW,
            key_value=objects.KeyValue(key_material=b"k" * 24),
            cryptographic_algorithm=Algorithm.THREE_DES,
            cryptographic_length=bits,
        )
        assert formats.load_symmetric(block) == b"k" * 24


@pytest.mark.parametrize(
    "block",
    [
        objects.KeyBlock(
            key_format_type=Format.RAW,
            key_value=objects.KeyValue(key_material=b"beef"),
            cryptographic_length=256,
        ),
        block_of(Format.RAW, b""),
        block_of(Format.PKCS8, b"k" * 16),
        ec_private(Curve.P256, 1),
    ],
)
def test_a_symmetric_key_that_is_none_is_an_invalid_field(block: objects.KeyBlock) -> None:
    with pytest.raises(KmipError, match="invalid KeyMaterial"):
        formats.load_symmetric(block)


def test_a_symmetric_key_has_no_other_format() -> None:
    with pytest.raises(KmipError, match="unsupported KeyFormatType"):
        formats.symmetric_material(b"k", Format.PKCS8)


@each_kind
def test_no_key_object_of_ours_shows_its_secret(kind: Kind) -> None:
    key = key_of(kind)
    block = formats.key_block(key)
    raw = formats.wrapped_form(key)
    assert repr(raw)[2:20] not in repr(key) + repr(block)
    assert raw.hex()[:20] not in repr(key) + repr(block)


def test_pem_is_taken_too() -> None:
    key = key_of((Algorithm.ECDH, Curve.P256))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert formats.load_private_der(private).public_key() == key.public_key()
    assert formats.load_public_der(public) == key.public_key()


@pytest.mark.parametrize("legacy", [False, True])
def test_pkcs12_opens_with_its_password_only(legacy: bool) -> None:  # noqa: FBT001
    key = key_of((Algorithm.RSA, None))
    wanted = Format.PKCS12_LEGACY if legacy else Format.PKCS12
    block = formats.key_block(key, wanted, password=b"secret")
    assert formats.load_private(block, password=b"secret").public_key() == key.public_key()
    with pytest.raises(KmipError, match="not a PKCS#12 of this password"):
        formats.load_private(block, password=b"wrong")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] not in pqc.BY_ALGORITHM])
def test_json_web_keys_go_out_and_come_back(kind: Kind) -> None:
    for half, _ in halves(key_of(kind)):
        if kind[1] in {Curve.P192, Curve.P224}:
            with pytest.raises(KmipError):
                jwk.export(half)
            continue
        loaded = jwk.load(jwk.export(half))
        assert not isinstance(loaded, bytes)
        assert formats.export(loaded) == formats.export(half)


def test_a_json_web_key_of_two_different_halves_is_refused() -> None:
    for curve in (Curve.P256, Curve.CURVE_ED25519):
        one = jwk.export(key_of((Algorithm.ECDH, curve)))
        other = jwk.export(generate.generate_pair(Algorithm.ECDH, None, curve))
        with pytest.raises(KmipError, match="do not fit"):
            jwk.load(one | {"d": other["d"]})


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"kty": "oct"},
        {"kty": "oct", "k": "!"},
        {"kty": "EC", "crv": "P-1", "x": "", "y": ""},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AA", "oth": []},
    ],
)
def test_a_malformed_json_web_key_is_an_invalid_field(bad: dict[str, Any]) -> None:
    with pytest.raises(KmipError) as caught:
        jwk.load(bad)
    assert caught.value.reason is ResultReason.INVALID_FIELD


def test_a_symmetric_json_web_key_is_bytes() -> None:
    assert jwk.export(b"\xff\xfe") == {"kty": "oct", "k": "__4"}
    assert jwk.load({"kty": "oct", "k": "__4"}) == b"\xff\xfe"
