"""JSON Web Keys in and out, as mappings. Source: RFC 7517, RFC 7518 §6, RFC 8037."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kmsd.crypto.errors import invalid_key
from kmsd.crypto.formats import not_supported
from kmsd.crypto.keys import BYTE_CURVES, CURVES, EdwardsRow, Key, describe, edwards_row, is_private
from kmsd.crypto.transparent import load as load_transparent
from kmsd.kmip import objects
from kmsd.kmip.enums import KeyFormatType as Format
from kmsd.kmip.enums import RecommendedCurve as Curve

_NAMES = {
    Curve.P256: "P-256",
    Curve.P384: "P-384",
    Curve.P521: "P-521",
    Curve.SECP256K1: "secp256k1",
    Curve.CURVE_ED25519: "Ed25519",
    Curve.CURVE_ED448: "Ed448",
    Curve.CURVE25519: "X25519",
    Curve.CURVE448: "X448",
}
_CURVES = {name: curve for curve, name in _NAMES.items()}

Jwk = dict[str, str]


def export(key: Key | bytes) -> Jwk:
    """Return a key as a JWK; bytes are a symmetric key.

    Raises:
        KmipError: KEY_FORMAT_TYPE_NOT_SUPPORTED: no JWK is defined for such a key.
    """
    if isinstance(key, bytes):
        return {"kty": "oct", "k": _encode(key)}
    row = edwards_row(key)
    if row is not None:
        return _export_octets(key, row)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return _export_ec(key)
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return _export_rsa(key)
    raise not_supported(Format.RAW)


def load(jwk: Mapping[str, Any]) -> Key | bytes:
    """Return the key in a JWK, checked; bytes for a symmetric one.

    Raises:
        KmipError: INVALID_FIELD.
    """
    loader = _LOADERS.get(str(jwk.get("kty")))
    if loader is None:
        raise invalid_key("a JWK of an unknown type")
    try:
        return loader(jwk)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise invalid_key("not a JWK") from None


def _export_octets(key: Key, row: EdwardsRow) -> Jwk:
    public = key.public_key() if is_private(key) else key
    jwk = {"kty": "OKP", "crv": _NAMES[row.curve]}
    jwk["x"] = _encode(public.public_bytes_raw())  # type: ignore[union-attr]
    if is_private(key):
        jwk["d"] = _encode(key.private_bytes_raw())  # type: ignore[union-attr]
    return jwk


def _export_ec(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> Jwk:
    curve = describe(key).curve
    if curve not in _NAMES:
        raise not_supported(Format.RAW)
    size = (key.curve.key_size + 7) // 8
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    point = public.public_numbers()
    jwk = {
        "kty": "EC",
        "crv": _NAMES[curve],
        "x": _encode(point.x.to_bytes(size)),
        "y": _encode(point.y.to_bytes(size)),
    }
    if isinstance(key, ec.EllipticCurvePrivateKey):
        jwk["d"] = _encode(key.private_numbers().private_value.to_bytes(size))
    return jwk


def _export_rsa(key: rsa.RSAPrivateKey | rsa.RSAPublicKey) -> Jwk:
    public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
    numbers = public.public_numbers()
    jwk = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, rsa.RSAPrivateKey):
        secret = key.private_numbers()
        parts = (secret.d, secret.p, secret.q, secret.dmp1, secret.dmq1, secret.iqmp)
        jwk |= dict(zip(_RSA_PARTS, map(_number, parts), strict=True))
    return jwk


_RSA_PARTS = ("d", "p", "q", "dp", "dq", "qi")


def _load_octets(jwk: Mapping[str, Any]) -> Key:
    row = BYTE_CURVES[_CURVES[jwk["crv"]]]
    public: Key = row.public.from_public_bytes(_decode(jwk["x"]))  # type: ignore[attr-defined]
    if "d" not in jwk:
        return public
    key: Key = row.private.from_private_bytes(_decode(jwk["d"]))  # type: ignore[attr-defined]
    if key.public_key() != public:  # type: ignore[union-attr]
        raise invalid_key("the halves of the JWK do not fit each other")
    return key


def _load_ec(jwk: Mapping[str, Any]) -> Key:
    curve = CURVES[_CURVES[jwk["crv"]]]
    x, y = int.from_bytes(_decode(jwk["x"])), int.from_bytes(_decode(jwk["y"]))
    public = ec.EllipticCurvePublicNumbers(x, y, curve)
    if "d" not in jwk:
        return public.public_key()
    key = ec.derive_private_key(int.from_bytes(_decode(jwk["d"])), curve)
    if key.public_key().public_numbers() != public:
        raise invalid_key("the halves of the JWK do not fit each other")
    return key


def _load_rsa(jwk: Mapping[str, Any]) -> Key:
    n, e = _integer(jwk["n"]), _integer(jwk["e"])
    if "d" not in jwk:
        public = objects.TransparentRSAPublicKey(modulus=n, public_exponent=e)
        loaded: Key = load_transparent(public, Format.TRANSPARENT_RSA_PUBLIC_KEY)
        return loaded
    if "oth" in jwk:
        raise invalid_key("RSA keys of more than two primes are not supported")
    d, p, q, dp, dq, qi = (_integer(jwk[name]) if name in jwk else None for name in _RSA_PARTS)
    private = objects.TransparentRSAPrivateKey(
        modulus=n,
        public_exponent=e,
        private_exponent=d,
        p=p,
        q=q,
        prime_exponent_p=dp,
        prime_exponent_q=dq,
        crt_coefficient=qi,
    )
    key: Key = load_transparent(private, Format.TRANSPARENT_RSA_PRIVATE_KEY)
    return key


_LOADERS: dict[str, Callable[[Mapping[str, Any]], Key | bytes]] = {
    "oct": lambda jwk: _decode(jwk["k"]),
    "OKP": _load_octets,
    "EC": _load_ec,
    "RSA": _load_rsa,
}


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8))


def _integer(text: str) -> int:
    return int.from_bytes(_decode(text))
