"""Key blocks to key objects and back, in every key format. Source: KMIP 2.1 §3, §11.25.

Two ways to load: `trusted` for rows of our own store, and checked for what comes from outside.
Checked loading proves RSA primes (0.25 s for 4096 bits), so callers do it off the reactor thread.
"""

from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from kmsd.crypto import pqc, pqc_formats, transparent
from kmsd.crypto.errors import invalid_key
from kmsd.crypto.generate import RSA_LOADED_BITS
from kmsd.crypto.keys import (
    Description,
    Key,
    PrivateKey,
    PublicKey,
    describe,
    edwards_row,
    is_private,
    is_public,
)
from kmsd.crypto.pkcs12 import load_pkcs12, pkcs12_of
from kmsd.kmip import objects
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import KeyFormatType as Format
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

_PEM = b"-----BEGIN "
_NONE = serialization.NoEncryption()
_SYMMETRIC = {Format.RAW, Format.OPAQUE, Format.TRANSPARENT_SYMMETRIC_KEY}
_RAW = {Format.RAW, Format.OPAQUE}


def load_symmetric(block: objects.KeyBlock) -> bytes:
    """Return the bytes of a symmetric key or a secret.

    Raises:
        KmipError: INVALID_FIELD: wrapped, empty, or of a length that is not the announced one.
    """
    material = _material(block)
    data = material.key if isinstance(material, objects.TransparentSymmetricKey) else material
    if not isinstance(data, bytes) or block.key_format_type not in _SYMMETRIC:
        raise invalid_key("not a symmetric key")
    bits = block.cryptographic_length
    if not data or (bits and not _fits(len(data) * 8, bits, block.cryptographic_algorithm)):
        raise invalid_key(f"{len(data) * 8} bits where CryptographicLength says {bits}")
    return data


def _fits(held: int, announced: int, algorithm: Algorithm | None) -> bool:
    if algorithm is Algorithm.THREE_DES:  # with or without the parity bits
        return announced in {held, held // 8 * 7}
    return announced == held


def load_private(
    block: objects.KeyBlock, *, trusted: bool = False, password: bytes | None = None
) -> PrivateKey:
    """Return the private key of a clear key block.

    Args:
        block: any private key format.
        trusted: from our own store: skip the proof of an RSA key.
        password: of a PKCS#12.

    Raises:
        KmipError: INVALID_FIELD: no such key; KEY_FORMAT_TYPE_NOT_SUPPORTED.
    """
    material = _material(block)
    if not isinstance(material, bytes):
        key = transparent.load(material, block.key_format_type, trusted=trusted)
    elif block.key_format_type in {Format.PKCS12, Format.PKCS12_LEGACY}:
        key = load_pkcs12(material, password or b"").private_key
    elif block.key_format_type in _RAW or block.key_format_type in objects.TRANSPARENT:
        key = _raw_private(block, material)
    else:
        key = load_private_der(material, trusted=trusted)
    if not is_private(key):
        raise invalid_key("not a private key")
    if not trusted:
        _check_size(key)
    return key


def load_public(block: objects.KeyBlock, *, trusted: bool = False) -> PublicKey:
    """Return the public key of a clear key block; see `load_private`."""
    material = _material(block)
    if not isinstance(material, bytes):
        key = transparent.load(material, block.key_format_type, trusted=trusted)
    elif block.key_format_type in _RAW or block.key_format_type in objects.TRANSPARENT:
        key = _raw_public(block, material)
    else:
        key = load_public_der(material)
    if not is_public(key):
        raise invalid_key("not a public key")
    if not trusted:
        _check_size(key)
    return key


def load_private_der(data: bytes, *, trusted: bool = False) -> PrivateKey:
    """Load PKCS#8, PKCS#1 or SEC1, in DER or PEM, unencrypted; sizes are not checked here."""
    found = pqc_formats.load_private_der(data)
    if found is not None:
        return found
    load: Callable[..., Any] = (
        serialization.load_pem_private_key
        if data.startswith(_PEM)
        else serialization.load_der_private_key
    )
    key = _fenced("private key", load, data, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, rsa.RSAPrivateKey) and not trusted:
        _check_size(key)
        key = _fenced("private key", load, data, None)
    if not is_private(key):
        raise invalid_key("a private key of an algorithm that is not supported")
    return key


def load_public_der(data: bytes) -> PublicKey:
    """Load a SubjectPublicKeyInfo or a PKCS#1 public key, in DER or PEM."""
    found = pqc_formats.load_public_der(data)
    if found is not None:
        return found
    load: Callable[..., Any] = (
        serialization.load_pem_public_key
        if data.startswith(_PEM)
        else serialization.load_der_public_key
    )
    key = _fenced("public key", load, data)
    if not is_public(key):
        raise invalid_key("a public key of an algorithm that is not supported")
    return key


def export(
    key: Key,
    key_format_type: Format | None = None,
    *,
    password: bytes = b"",
    certificates: Sequence[x509.Certificate] = (),
) -> objects.KeyMaterial:
    """Return the key material of `key` in a format (the default one unless given).

    Args:
        key: either half of a pair.
        key_format_type: as asked for by Get and Export.
        password: encrypts a PKCS#12; empty for none.
        certificates: the leaf and its chain, for a PKCS#12.

    Raises:
        KmipError: KEY_FORMAT_TYPE_NOT_SUPPORTED.
    """
    wanted = key_format_type or default_format(key)
    if wanted in {Format.PKCS12, Format.PKCS12_LEGACY} and is_private(key):
        return pkcs12_of(key, certificates, password, legacy=wanted is Format.PKCS12_LEGACY)
    if wanted in objects.TRANSPARENT:
        found: objects.KeyMaterial | None = transparent.export(key, wanted)
    elif is_private(key):
        found = _private_bytes(key, wanted)
    else:
        found = _public_bytes(key, wanted)
    if found is None:
        raise not_supported(wanted)
    return found


def symmetric_material(key: bytes, key_format_type: Format | None = None) -> objects.KeyMaterial:
    """Return the key material of a symmetric key in Raw or TransparentSymmetricKey."""
    if key_format_type in {None, Format.RAW, Format.OPAQUE}:
        return key
    if key_format_type is Format.TRANSPARENT_SYMMETRIC_KEY:
        return objects.TransparentSymmetricKey(key=key)
    raise not_supported(key_format_type or Format.RAW)


def key_block(
    key: Key,
    key_format_type: Format | None = None,
    *,
    algorithm: Algorithm | None = None,
    password: bytes = b"",
    certificates: Sequence[x509.Certificate] = (),
) -> objects.KeyBlock:
    """Return a whole key block: material, format, algorithm and length.

    `algorithm` is the one the key was asked for, where several names fit (EC, ECDSA, ECDH).
    """
    wanted = key_format_type or default_format(key)
    described = describe(key, algorithm)
    material = export(key, wanted, password=password, certificates=certificates)
    return objects.KeyBlock(
        key_format_type=wanted,
        key_value=objects.KeyValue(key_material=material),
        cryptographic_algorithm=described.algorithm,
        cryptographic_length=described.length_bits,
    )


def default_format(key: Key) -> Format:
    """Return the format that Get answers in unless asked. Source: the product, Get."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return Format.PKCS1
    elliptic = isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey)
    if elliptic or edwards_row(key):
        private = is_private(key)
        return Format.TRANSPARENT_EC_PRIVATE_KEY if private else Format.TRANSPARENT_EC_PUBLIC_KEY
    return Format.PKCS8


def wrapped_form(key: Key) -> bytes:
    """Return the bytes that are wrapped with the encoding option NoEncoding.

    RSA: PKCS#1; elliptic curves: the private scalar, padded, or the point; else raw or PKCS#8.
    """
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        wanted = Format.PKCS1
    elif isinstance(key, dsa.DSAPrivateKey | dsa.DSAPublicKey):
        wanted = Format.PKCS8
    else:
        wanted = Format.RAW
    data = export(key, wanted)
    assert isinstance(data, bytes)  # noqa: S101 - none of these formats is a structure
    return data


def not_supported(key_format_type: Format) -> KmipError:
    """Say that this key has no such format."""
    return KmipError(
        ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
        f"unsupported KeyFormatType for this key: {key_format_type.wire_name}",
    )


def _material(block: objects.KeyBlock) -> objects.KeyMaterial:
    material = objects.key_material(block)
    if material is None:
        raise invalid_key("the key block holds no key")
    if block.key_wrapping_data is not None:
        raise KmipError(ResultReason.KEY_WRAP_TYPE_NOT_SUPPORTED, "the key is wrapped")
    return material


def _curve_of(block: objects.KeyBlock) -> Curve | None:
    """Find the curve that the key's own attributes name."""
    value = block.key_value
    attributes = value.attributes if isinstance(value, objects.KeyValue) else None
    domain = getattr(attributes, "cryptographic_domain_parameters", None)
    return domain.recommended_curve if domain else None


def _raw_private(block: objects.KeyBlock, data: bytes) -> PrivateKey:
    algorithm = block.cryptographic_algorithm
    if algorithm in pqc.BY_ALGORITHM:
        return pqc.load_private_raw(algorithm, data)
    found = transparent.raw_private(algorithm, _curve_of(block), data)
    return found if found is not None else load_private_der(data)


def _raw_public(block: objects.KeyBlock, data: bytes) -> PublicKey:
    algorithm = block.cryptographic_algorithm
    if algorithm in pqc.BY_ALGORITHM:
        return pqc.load_public_raw(algorithm, data)
    found = transparent.raw_public(algorithm, _curve_of(block), data)
    return found if found is not None else load_public_der(data)


def _private_bytes(key: Key, wanted: Format) -> bytes | None:
    """Return a private key as bytes, or None where it has no such format."""
    if wanted is Format.RAW:
        return transparent.private_raw(key)
    if isinstance(key, pqc.PRIVATE_TYPES):
        return pqc_formats.private_der(key) if wanted is Format.PKCS8 else None
    layout = _PRIVATE_LAYOUTS.get(wanted)
    if layout is None or not _traditional(key, wanted):
        return None
    if edwards_row(key):
        layout = PrivateFormat.PKCS8  # their only DER form; readers of SEC1 take it too
    data: bytes = key.private_bytes(Encoding.DER, layout, _NONE)  # type: ignore[union-attr]
    return data


def _traditional(key: Key, wanted: Format) -> bool:
    """Tell whether a format that belongs to one family of keys fits this one."""
    if wanted is Format.PKCS1:
        return isinstance(key, rsa.RSAPrivateKey)
    if wanted is Format.EC_PRIVATE_KEY:
        return isinstance(key, ec.EllipticCurvePrivateKey) or edwards_row(key) is not None
    return True


_PRIVATE_LAYOUTS = {
    Format.PKCS1: PrivateFormat.TraditionalOpenSSL,
    Format.EC_PRIVATE_KEY: PrivateFormat.TraditionalOpenSSL,
    Format.PKCS8: PrivateFormat.PKCS8,
}


def _public_bytes(key: Key, wanted: Format) -> bytes | None:
    """Return a public key as bytes, or None where it has no such format."""
    if wanted is Format.RAW:
        return transparent.public_raw(key)
    if wanted in {Format.PKCS8, Format.X509}:
        return spki(key)
    if wanted is Format.PKCS1 and isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return None


def spki(key: Key) -> bytes:
    """Return the SubjectPublicKeyInfo of a public key. Source: RFC 5280 §4.1."""
    if isinstance(key, pqc.PUBLIC_TYPES):
        return pqc_formats.public_der(key)
    data: bytes = key.public_bytes(  # type: ignore[union-attr]
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return data


def _check_size(key: Key) -> None:
    """Refuse RSA moduli that are too weak to matter or too large to compute with.

    Whether an elliptic curve key fits the point beside it, the library has checked.
    """
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and (
        key.key_size not in RSA_LOADED_BITS
    ):
        raise invalid_key(
            f"RSA keys have {RSA_LOADED_BITS[0]} to {RSA_LOADED_BITS[-1]} bits, not {key.key_size}"
        )


def _fenced(what: str, load: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a loader of the library; whatever it refuses becomes one refusal."""
    try:
        return load(*args, **options)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise invalid_key(f"not a {what} of the announced format") from None


__all__ = [
    "Description",
    "default_format",
    "describe",
    "export",
    "key_block",
    "load_private",
    "load_private_der",
    "load_public",
    "load_public_der",
    "load_symmetric",
    "spki",
    "symmetric_material",
    "wrapped_form",
]
