"""The key objects that the rest passes around, and what they are called in KMIP."""

from typing import NamedTuple, TypeAlias, TypeGuard

from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    rsa,
    x448,
    x25519,
)

from kmsd.crypto import pqc
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import RecommendedCurve as Curve

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | x25519.X25519PrivateKey
    | x448.X448PrivateKey
    | dsa.DSAPrivateKey
    | pqc.PqcPrivateKey
)
PublicKey: TypeAlias = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | x25519.X25519PublicKey
    | x448.X448PublicKey
    | dsa.DSAPublicKey
    | pqc.PqcPublicKey
)
Key: TypeAlias = PrivateKey | PublicKey
"""Any half of any pair."""

PRIVATE_TYPES = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
    x25519.X25519PrivateKey,
    x448.X448PrivateKey,
    dsa.DSAPrivateKey,
    *pqc.PRIVATE_TYPES,
)
PUBLIC_TYPES = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    x25519.X25519PublicKey,
    x448.X448PublicKey,
    dsa.DSAPublicKey,
    *pqc.PUBLIC_TYPES,
)


def is_private(key: object) -> TypeGuard[PrivateKey]:
    """Tell whether `key` is a private key that this layer knows."""
    return isinstance(key, PRIVATE_TYPES)


def is_public(key: object) -> TypeGuard[PublicKey]:
    """Tell whether `key` is a public key that this layer knows."""
    return isinstance(key, PUBLIC_TYPES)


class Description(NamedTuple):
    """What a key is. `length_bits` is that of the modulus, the curve, or the parameter set."""

    algorithm: Algorithm
    length_bits: int
    curve: Curve | None


class EdwardsRow(NamedTuple):
    """A curve whose keys are plain bytes; sizes in bytes."""

    curve: Curve
    algorithm: Algorithm
    private: type
    public: type
    size: int
    length_bits: int


EDWARDS = (
    EdwardsRow(
        Curve.CURVE_ED25519,
        Algorithm.ED25519,
        ed25519.Ed25519PrivateKey,
        ed25519.Ed25519PublicKey,
        32,
        256,
    ),
    EdwardsRow(
        Curve.CURVE_ED448, Algorithm.ED448, ed448.Ed448PrivateKey, ed448.Ed448PublicKey, 57, 456
    ),
    EdwardsRow(
        Curve.CURVE25519, Algorithm.ECDH, x25519.X25519PrivateKey, x25519.X25519PublicKey, 32, 256
    ),
    EdwardsRow(Curve.CURVE448, Algorithm.ECDH, x448.X448PrivateKey, x448.X448PublicKey, 56, 448),
)
"""Edwards and Montgomery curves: keys are strings of bytes (RFC 7748, RFC 8032)."""

CURVES: dict[Curve, ec.EllipticCurve] = {
    Curve.P192: ec.SECP192R1(),
    Curve.P224: ec.SECP224R1(),
    Curve.P256: ec.SECP256R1(),
    Curve.P384: ec.SECP384R1(),
    Curve.P521: ec.SECP521R1(),
    Curve.SECP256K1: ec.SECP256K1(),
    Curve.BRAINPOOLP256R1: ec.BrainpoolP256R1(),
    Curve.BRAINPOOLP384R1: ec.BrainpoolP384R1(),
    Curve.BRAINPOOLP512R1: ec.BrainpoolP512R1(),
}
"""Weierstrass curves."""
CURVE_NAMES = {curve.name: name for name, curve in CURVES.items()}
BYTE_CURVES = {row.curve: row for row in EDWARDS}


def describe(key: Key, algorithm: Algorithm | None = None) -> Description:
    """Say what a key is; `algorithm` is the name it is stored under, where several would do."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        named = algorithm if algorithm in _EC_NAMES else Algorithm.ECDH
        return Description(named or Algorithm.ECDH, key.curve.key_size, CURVE_NAMES[key.curve.name])
    row = edwards_row(key)
    if row is not None:
        return Description(row.algorithm, row.length_bits, row.curve)
    parameter_set = pqc.row_of(key)
    if parameter_set is not None:
        size = int(parameter_set.algorithm.wire_name.rpartition("_")[2].rstrip("sf"))
        return Description(parameter_set.algorithm, size, None)
    is_rsa = isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
    return Description(
        Algorithm.RSA if is_rsa else Algorithm.DSA, getattr(key, "key_size", 0), None
    )


_EC_NAMES = {Algorithm.EC, Algorithm.ECDH, Algorithm.ECDSA, Algorithm.ECMQV}


def edwards_row(key: Key) -> EdwardsRow | None:
    """Return the row of a key that is plain bytes, or None."""
    for row in EDWARDS:
        if isinstance(key, row.private | row.public):
            return row
    return None
