"""Keys as numbers: KMIP's transparent key structures, and raw bytes of curve keys.

Source: KMIP 2.1 §3.4 to §3.12. The product's clients expect the compressed point as QString for
Weierstrass curves, the plain bytes for the others, and read D of those as a big-endian number.
"""

import math
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from kmsd.crypto import pqc
from kmsd.crypto.ec import compressed
from kmsd.crypto.errors import invalid_key
from kmsd.crypto.generate import RSA_LOADED_BITS
from kmsd.crypto.keys import (
    BYTE_CURVES,
    CURVE_NAMES,
    CURVES,
    EDWARDS,
    EdwardsRow,
    Key,
    edwards_row,
    is_private,
)
from kmsd.kmip import objects
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import KeyFormatType as Format
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.ttlv.schema import Structure

_DEFAULT_EXPONENT = 65537
_LEAST_EXPONENT, _MOST_EXPONENT = 3, 1 << 64
_MOST_COMMON_FACTOR = 2_000  # of p - 1 and q - 1; 2 or 4 in most keys
_DSA_BITS = {1024, 2048, 3072, 4096}
_DSA_ORDER_BITS = {160, 224, 256}


def load(material: Structure, key_format_type: Format, *, trusted: bool = False) -> Any:
    """Return the key that a transparent structure describes, proved unless `trusted`.

    Raises:
        KmipError: INVALID_FIELD; KEY_FORMAT_TYPE_NOT_SUPPORTED for Diffie-Hellman.
    """
    loader = _LOADERS.get(type(material))
    if loader is None:
        raise KmipError(
            ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
            f"unsupported KeyFormatType for this key: {key_format_type.wire_name}",
        )
    try:
        if isinstance(material, objects.TransparentRSAPrivateKey):
            return _load_rsa_private(material, trusted=trusted)
        return loader(material)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise invalid_key("the numbers make no key") from None


def export(key: Key, key_format_type: Format) -> Structure | None:
    """Return the structure of that format, or None where the key has none."""
    made = _structure(key)
    return made if type(made) is objects.TRANSPARENT[key_format_type] else None


def _structure(key: Key) -> Structure | None:
    if isinstance(key, rsa.RSAPrivateKey):
        return _rsa_private(key)
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return objects.TransparentRSAPublicKey(modulus=numbers.n, public_exponent=numbers.e)
    if isinstance(key, dsa.DSAPrivateKey | dsa.DSAPublicKey):
        return _dsa(key)
    curve = _curve_name(key)
    if curve is None:
        return None
    if is_private(key):
        return objects.TransparentECPrivateKey(
            recommended_curve=curve, d=int.from_bytes(private_raw(key) or b"")
        )
    return objects.TransparentECPublicKey(recommended_curve=curve, q_string=public_raw(key) or b"")


def _curve_name(key: Key) -> Curve | None:
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return CURVE_NAMES[key.curve.name]
    row = edwards_row(key)
    return row.curve if row else None


def private_raw(key: Key) -> bytes | None:
    """Return the padded scalar, the seed, or the raw post-quantum key; None for the others."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        return key.private_numbers().private_value.to_bytes(size)
    if edwards_row(key) or isinstance(key, pqc.PRIVATE_TYPES):
        data: bytes = key.private_bytes_raw()  # type: ignore[union-attr]
        return data
    return None


def public_raw(key: Key) -> bytes | None:
    """Return the compressed point or the raw public key; None for the others."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return compressed(key)
    if edwards_row(key) or isinstance(key, pqc.PUBLIC_TYPES):
        data: bytes = key.public_bytes_raw()  # type: ignore[union-attr]
        return data
    return None


def raw_private(algorithm: Algorithm | None, curve: Curve | None, data: bytes) -> Any:
    """Load the bytes of a curve's private key; None when nothing says that it is one."""
    return _raw(
        algorithm,
        curve,
        data,
        lambda row: row.private.from_private_bytes(data),  # type: ignore[attr-defined]
        lambda known: ec.derive_private_key(int.from_bytes(data), known),
    )


def raw_public(algorithm: Algorithm | None, curve: Curve | None, data: bytes) -> Any:
    """Load the bytes of a curve's public key; None when nothing says that it is one."""
    return _raw(
        algorithm,
        curve,
        data,
        lambda row: row.public.from_public_bytes(data),  # type: ignore[attr-defined]
        lambda known: ec.EllipticCurvePublicKey.from_encoded_point(known, data),
    )


def _raw(
    algorithm: Algorithm | None,
    curve: Curve | None,
    data: bytes,
    edwards: Callable[[EdwardsRow], Any],
    weierstrass: Callable[[ec.EllipticCurve], Any],
) -> Any:
    row = BYTE_CURVES.get(curve) if curve else _by_algorithm(algorithm, data)
    try:
        if row is not None:
            return edwards(row)
        if curve in CURVES:
            return weierstrass(CURVES[curve])
    except (ValueError, UnsupportedAlgorithm):
        raise invalid_key("these bytes are no key of that curve") from None
    return None


def _by_algorithm(algorithm: Algorithm | None, data: bytes) -> EdwardsRow | None:
    """Find the curve of bytes that come without its name: by algorithm, then by length."""
    for row in EDWARDS:
        named = algorithm is row.algorithm and len(data) == row.size
        if named or (algorithm in {Algorithm.EC, Algorithm.ECDH} and len(data) == row.size):
            return row if row.algorithm is algorithm else BYTE_CURVES[_MONTGOMERY[row.size]]
    return None


_MONTGOMERY = {32: Curve.CURVE25519, 56: Curve.CURVE448, 57: Curve.CURVE_ED448}


def _rsa_private(key: rsa.RSAPrivateKey) -> objects.TransparentRSAPrivateKey:
    numbers = key.private_numbers()
    return objects.TransparentRSAPrivateKey(
        modulus=numbers.public_numbers.n,
        private_exponent=numbers.d,
        public_exponent=numbers.public_numbers.e,
        p=numbers.p,
        q=numbers.q,
        prime_exponent_p=numbers.dmp1,
        prime_exponent_q=numbers.dmq1,
        crt_coefficient=numbers.iqmp,
    )


def _load_rsa_private(
    material: objects.TransparentRSAPrivateKey, *, trusted: bool = False
) -> rsa.RSAPrivateKey:
    n, e = material.modulus, material.public_exponent or _DEFAULT_EXPONENT
    _check_modulus(n)
    parts = (material.private_exponent, material.p, material.q, material.prime_exponent_p,
             material.prime_exponent_q, material.crt_coefficient)  # fmt: skip
    if any(part is not None and not 0 < part < n for part in parts):
        raise invalid_key("a number beyond the modulus")
    p, q, d = material.p, material.q, material.private_exponent
    if p and q:
        d = d or rsa.rsa_recover_private_exponent(e, p, q)
    elif d:
        p, q = _primes(n, e, d)
    else:
        raise invalid_key("neither primes nor a private exponent")
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=material.prime_exponent_p or rsa.rsa_crt_dmp1(d, p),
        dmq1=material.prime_exponent_q or rsa.rsa_crt_dmq1(d, q),
        iqmp=material.crt_coefficient or rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e, n),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=trusted)


def _primes(n: int, e: int, d: int) -> tuple[int, int]:
    """Find the primes of a modulus from its exponents.

    e·d - 1 is a multiple of lambda(n), so a small multiple g of it is k times phi(n), and k is g
    times it over n, rounded up. phi(n) gives the sum of the primes. No power is computed: the
    probabilistic search, which the library has, can be led to search for an hour.
    """
    if not _LEAST_EXPONENT <= e < _MOST_EXPONENT:
        raise invalid_key("an RSA public exponent is between 3 and 2^64")
    for g in range(1, _MOST_COMMON_FACTOR):
        multiple = g * (e * d - 1)
        phi, rest = divmod(multiple, multiple // n + 1)
        total = n - phi + 1
        square = total * total - 4 * n
        if rest or square < 0:
            continue
        root = math.isqrt(square)
        if root * root == square:
            return (total + root) // 2, (total - root) // 2
    raise invalid_key("the RSA exponents do not fit each other")


def _load_rsa_public(material: objects.TransparentRSAPublicKey) -> rsa.RSAPublicKey:
    _check_modulus(material.modulus)
    return rsa.RSAPublicNumbers(material.public_exponent, material.modulus).public_key()


def _check_modulus(modulus: int) -> None:
    if modulus <= 0 or modulus.bit_length() not in RSA_LOADED_BITS:
        raise invalid_key("RSA keys have 1024 to 8192 bits")


def _load_ec_private(material: objects.TransparentECPrivateKey) -> Any:
    row = BYTE_CURVES.get(material.recommended_curve)
    if row is not None:
        return row.private.from_private_bytes(  # type: ignore[attr-defined]
            material.d.to_bytes(row.size)
        )
    return ec.derive_private_key(material.d, _curve(material.recommended_curve))


def _load_ec_public(material: objects.TransparentECPublicKey) -> Any:
    row = BYTE_CURVES.get(material.recommended_curve)
    if row is not None:
        return row.public.from_public_bytes(material.q_string)  # type: ignore[attr-defined]
    curve = _curve(material.recommended_curve)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, material.q_string)


def _curve(name: Curve) -> ec.EllipticCurve:
    found = CURVES.get(name)
    if found is None:
        raise invalid_key(f"the curve {name.wire_name} is not supported")
    return found


def _dsa(key: dsa.DSAPrivateKey | dsa.DSAPublicKey) -> Structure:
    numbers = key.parameters().parameter_numbers()
    domain = {"p": numbers.p, "q": numbers.q, "g": numbers.g}
    if isinstance(key, dsa.DSAPrivateKey):
        return objects.TransparentDSAPrivateKey(x=key.private_numbers().x, **domain)
    return objects.TransparentDSAPublicKey(y=key.public_numbers().y, **domain)


def _load_dsa_private(material: objects.TransparentDSAPrivateKey) -> dsa.DSAPrivateKey:
    _check_dsa(material)
    y = pow(material.g, material.x, material.p)
    domain = dsa.DSAParameterNumbers(material.p, material.q, material.g)
    return dsa.DSAPrivateNumbers(material.x, dsa.DSAPublicNumbers(y, domain)).private_key()


def _load_dsa_public(material: objects.TransparentDSAPublicKey) -> dsa.DSAPublicKey:
    _check_dsa(material)
    domain = dsa.DSAParameterNumbers(material.p, material.q, material.g)
    return dsa.DSAPublicNumbers(material.y, domain).public_key()


def _check_dsa(
    material: objects.TransparentDSAPrivateKey | objects.TransparentDSAPublicKey,
) -> None:
    """Refuse, before any work, numbers that are too large. Source: FIPS 186-4 §4.2."""
    p, q, g = material.p, material.q, material.g
    if p <= 0 or p.bit_length() not in _DSA_BITS or q.bit_length() not in _DSA_ORDER_BITS:
        raise invalid_key("DSA keys have 1024, 2048 or 3072 bits, and 160 to 256 beside")
    if isinstance(material, objects.TransparentDSAPrivateKey):
        value, bound = material.x, q
    else:
        value, bound = material.y, p
    if not (0 < value < bound and 1 < g < p):
        raise invalid_key("the numbers make no key")


_LOADERS: dict[type, Callable[[Any], Any]] = {
    objects.TransparentRSAPrivateKey: _load_rsa_private,
    objects.TransparentRSAPublicKey: _load_rsa_public,
    objects.TransparentECPrivateKey: _load_ec_private,
    objects.TransparentECPublicKey: _load_ec_public,
    objects.TransparentDSAPrivateKey: _load_dsa_private,
    objects.TransparentDSAPublicKey: _load_dsa_public,
}
