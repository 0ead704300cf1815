"""New keys: which sizes may be made, and making them."""

import os
from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed448,
    ed25519,
    rsa,
    x448,
    x25519,
)

from kmsd.crypto import pqc
from kmsd.crypto.errors import sizes
from kmsd.crypto.interfaces import Random
from kmsd.crypto.keys import CURVES, PrivateKey
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

_ANY = range(8, 8 * 8192 + 1, 8)
"""Keys of MACs and salts: any whole number of bytes up to 8 KiB."""
SYMMETRIC: dict[Algorithm, Collection[int]] = {
    Algorithm.AES: (128, 192, 256, 512),  # 512 is a pair of keys for AES-256-XTS
    Algorithm.CHACHA20: (256,),
    Algorithm.CHACHA20_POLY1305: (256,),
    Algorithm.THREE_DES: (112, 128, 168, 192),  # with and without the parity bits
} | dict.fromkeys((row for row in Algorithm if row.name.startswith(("HMAC_SHA", "SHA"))), _ANY)
"""The lengths in bits that a new symmetric key may have."""

RSA_BITS = range(2048, 4097, 256)
"""A new RSA modulus (SP 800-131A: 2048 at least; beyond 4096 it costs seconds to minutes)."""
RSA_LOADED_BITS = range(1024, 8193)
"""A modulus that is taken in from outside, to process what exists."""
_RSA_EXPONENT = 65537

NEW_CURVES = frozenset(
    {
        Curve.P192,
        Curve.P224,
        Curve.P256,
        Curve.P384,
        Curve.P521,
        Curve.SECP256K1,
        Curve.CURVE25519,
        Curve.CURVE448,
        Curve.CURVE_ED25519,
        Curve.CURVE_ED448,
    }
)
_BY_LENGTH = {192: Curve.P192, 224: Curve.P224, 256: Curve.P256, 384: Curve.P384, 521: Curve.P521}
_DEFAULT_BITS = {Algorithm.THREE_DES: 168, Algorithm.AES: 256}
_PARITY = {112: 128, 168: 192}
_EC = {Algorithm.EC, Algorithm.ECDH, Algorithm.ECDSA}
_FIXED = {Algorithm.ED25519: Curve.CURVE_ED25519, Algorithm.ED448: Curve.CURVE_ED448}


def generate_symmetric(
    algorithm: Algorithm, bits: int | None = None, random: Random = os.urandom
) -> bytes:
    """Make a symmetric key of `bits` (256 unless given; 3DES counts with or without parity).

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE for the length, UNSUPPORTED_… for the algorithm.
    """
    allowed = SYMMETRIC.get(algorithm)
    if allowed is None:
        raise _refused(f"new symmetric keys of algorithm {algorithm.wire_name} are not supported")
    bits = default_length(algorithm) if bits is None else bits
    if bits not in allowed:
        raise _bad_length(algorithm, bits, allowed)
    return random(_PARITY.get(bits, bits) // 8 if algorithm is Algorithm.THREE_DES else bits // 8)


def default_length(algorithm: Algorithm) -> int:
    """Return the length in bits of a symmetric key that nobody gave one."""
    return _DEFAULT_BITS.get(algorithm, 256)


def generate_pair(
    algorithm: Algorithm, bits: int | None = None, curve: Curve | None = None
) -> PrivateKey:
    """Make a private key; see `is_slow` for where to run it.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE for length or curve, UNSUPPORTED_… for the algorithm.
    """
    check_new_key(algorithm, bits, curve)
    if algorithm is Algorithm.RSA:
        return rsa.generate_private_key(_RSA_EXPONENT, bits or 0)
    if algorithm in pqc.BY_ALGORITHM:
        return pqc.generate(algorithm)
    return _on_curve(_curve(algorithm, bits, curve))


def check_new_key(
    algorithm: Algorithm, bits: int | None = None, curve: Curve | None = None
) -> None:
    """Refuse, before any work, a pair that may not be made; see `generate_pair`."""
    if algorithm is Algorithm.RSA:
        if bits is None:
            raise KmipError(
                ResultReason.INVALID_ATTRIBUTE_VALUE, "RSA needs a CryptographicLength (key length)"
            )
        if bits not in RSA_BITS:
            raise _bad_length(algorithm, bits, RSA_BITS)
    elif algorithm in _EC or algorithm in _FIXED:
        _curve(algorithm, bits, curve)
    elif algorithm not in pqc.BY_ALGORITHM:
        raise _refused(f"new key pairs of algorithm {algorithm.wire_name} are not supported")


def is_slow(algorithm: Algorithm, bits: int | None = None) -> bool:  # noqa: ARG001 - see table
    """Tell whether making such a pair takes more than a millisecond: run it off the reactor."""
    return algorithm in SLOW


SLOW = frozenset({Algorithm.RSA, *(row.algorithm for row in pqc.PARAMETER_SETS if not row.private)})
"""RSA-4096 takes 0.3 s, SLH-DSA "s" sets 0.05 s (and 0.5 s for a signature)."""


def _curve(algorithm: Algorithm, bits: int | None, curve: Curve | None) -> Curve:
    """Choose the curve: the one asked for, the one of that length, or the product's default."""
    fixed = _FIXED.get(algorithm)
    chosen = curve or fixed
    if chosen is None and bits:
        chosen = _BY_LENGTH.get(bits)
    elif chosen is None:
        chosen = Curve.P256 if algorithm is Algorithm.ECDSA else Curve.CURVE25519
    if chosen is None or chosen not in NEW_CURVES or (fixed and chosen is not fixed):
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE,
            f"no curve of this name or length for {algorithm.wire_name}",
        )
    return chosen


def _on_curve(curve: Curve) -> PrivateKey:
    if curve in CURVES:
        return ec.generate_private_key(CURVES[curve])
    if curve is Curve.CURVE25519:
        return x25519.X25519PrivateKey.generate()
    if curve is Curve.CURVE448:
        return x448.X448PrivateKey.generate()
    if curve is Curve.CURVE_ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return ed448.Ed448PrivateKey.generate()


def _bad_length(algorithm: Algorithm, bits: int, allowed: Collection[int]) -> KmipError:
    words = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else sizes(allowed)
    return KmipError(
        ResultReason.INVALID_ATTRIBUTE_VALUE,
        f"a new {algorithm.wire_name} key has a CryptographicLength of {words} bits, not {bits}:"
        " invalid length",
    )


def _refused(message: str) -> KmipError:
    return KmipError(ResultReason.UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS, message)
