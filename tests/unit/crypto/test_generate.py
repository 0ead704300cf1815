"""Which new keys may be made, and which not."""

from __future__ import annotations

import pytest

from kmsd.crypto import generate
from kmsd.crypto.keys import describe
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.errors import KmipError


@pytest.mark.parametrize(
    ("algorithm", "bits", "size"),
    [
        (Algorithm.AES, None, 32),
        (Algorithm.AES, 128, 16),
        (Algorithm.AES, 512, 64),
        (Algorithm.CHACHA20, None, 32),
        (Algorithm.THREE_DES, None, 24),
        (Algorithm.THREE_DES, 112, 16),
        (Algorithm.THREE_DES, 192, 24),
        (Algorithm.HMAC_SHA256, 96 * 8, 96),
        (Algorithm.SHA3_256, None, 32),
        (Algorithm.SHAKE128, 8, 1),
    ],
)
def test_a_symmetric_key_has_the_asked_length(
    algorithm: Algorithm, bits: int | None, size: int
) -> None:
    assert len(generate.generate_symmetric(algorithm, bits)) == size
    assert generate.generate_symmetric(algorithm, bits, lambda count: b"r" * count) == b"r" * size


@pytest.mark.parametrize(
    ("algorithm", "bits"),
    [
        (Algorithm.AES, 0),
        (Algorithm.AES, 100),
        (Algorithm.AES, 2**40),
        (Algorithm.AES, -8),
        (Algorithm.CHACHA20_POLY1305, 128),
        (Algorithm.HMAC_SHA256, 0),
        (Algorithm.HMAC_SHA1, 12),
        (Algorithm.THREE_DES, 64),
    ],
)
def test_another_length_is_refused_by_name(algorithm: Algorithm, bits: int) -> None:
    with pytest.raises(KmipError, match="length"):
        generate.generate_symmetric(algorithm, bits)


@pytest.mark.parametrize("algorithm", [Algorithm.BLOWFISH, Algorithm.DES, Algorithm.RSA])
def test_another_algorithm_is_refused_by_name(algorithm: Algorithm) -> None:
    with pytest.raises(KmipError, match=f"{algorithm.wire_name} are not supported"):
        generate.generate_symmetric(algorithm)


@pytest.mark.parametrize(
    ("algorithm", "bits", "curve", "expected"),
    [
        (Algorithm.EC, None, None, Curve.CURVE25519),
        (Algorithm.ECDSA, None, None, Curve.P256),
        (Algorithm.ECDSA, 384, None, Curve.P384),
        (Algorithm.ECDH, None, Curve.CURVE_ED25519, Curve.CURVE_ED25519),
        (Algorithm.ED448, None, None, Curve.CURVE_ED448),
        (Algorithm.ED25519, 256, Curve.CURVE_ED25519, Curve.CURVE_ED25519),
        (Algorithm.ECDH, 256, Curve.SECP256K1, Curve.SECP256K1),
    ],
)
def test_a_pair_is_on_the_asked_curve_or_the_products_default(
    algorithm: Algorithm, bits: int | None, curve: Curve | None, expected: Curve
) -> None:
    assert describe(generate.generate_pair(algorithm, bits, curve)).curve is expected


@pytest.mark.parametrize(
    ("algorithm", "bits", "curve"),
    [
        (Algorithm.RSA, None, None),
        (Algorithm.RSA, 1024, None),
        (Algorithm.RSA, 2049, None),
        (Algorithm.RSA, 8192, None),
        (Algorithm.RSA, 16384, None),
        (Algorithm.ECDH, None, Curve.B571),
        (Algorithm.ECDH, 255, None),
        (Algorithm.ED25519, None, Curve.P256),
        (Algorithm.DSA, 2048, None),
        (Algorithm.AES, 256, None),
    ],
)
def test_a_pair_that_may_not_be_made_is_refused_before_any_work(
    algorithm: Algorithm, bits: int | None, curve: Curve | None
) -> None:
    with pytest.raises(KmipError):
        generate.check_new_key(algorithm, bits, curve)
    with pytest.raises(KmipError):
        generate.generate_pair(algorithm, bits, curve)


def test_slow_pairs_are_marked() -> None:
    assert generate.is_slow(Algorithm.RSA, 4096)
    assert generate.is_slow(Algorithm.SLH_DSA_SHA2_128S)
    assert not generate.is_slow(Algorithm.ECDH)
    assert not generate.is_slow(Algorithm.ML_DSA_87)
