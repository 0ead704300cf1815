"""PKCS#12 in and out: a private key with its certificate and chain. Source: RFC 7292."""

from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from kmsd.crypto.errors import invalid_key
from kmsd.crypto.keys import Key, PrivateKey, is_private
from kmsd.crypto.pkcs12_limits import check_iterations
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

_ITERATIONS = 50_000
_KINDS = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)


class Contents(NamedTuple):
    """What a PKCS#12 holds; the leaf first among the certificates, if it is there."""

    private_key: PrivateKey
    certificates: tuple[x509.Certificate, ...]
    friendly_name: str | None


def load_pkcs12(data: bytes, password: bytes = b"") -> Contents:
    """Open a PKCS#12 (3DES, RC2 or AES).

    Raises:
        KmipError: INVALID_FIELD, in one text for a wrong password and a wrong file.
    """
    check_iterations(data)
    try:
        store = pkcs12.load_pkcs12(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise invalid_key("not a PKCS#12 of this password") from None
    if store.key is None or not is_private(store.key):
        raise invalid_key("the PKCS#12 holds no private key that is supported")
    found = [store.cert] if store.cert else []
    found += store.additional_certs
    name = store.cert.friendly_name if store.cert else None
    return Contents(
        store.key,
        tuple(entry.certificate for entry in found),
        name.decode("utf-8", "replace") if name else None,
    )


def pkcs12_of(
    key: Key,
    certificates: Sequence[x509.Certificate],
    password: bytes = b"",
    *,
    name: str | None = None,
    legacy: bool = False,
) -> bytes:
    """Make a PKCS#12: AES-256 and HMAC-SHA-256, or 3DES and HMAC-SHA-1 for old readers.

    Old readers would also have RC2-40 for the certificates; that is no longer to be had, and all
    of them read 3DES there too.
    """
    if not isinstance(key, _KINDS):
        raise KmipError(
            ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
            "unsupported KeyFormatType for this key: PKCS12",
        )
    leaf = certificates[0] if certificates else None
    return pkcs12.serialize_key_and_certificates(
        name.encode() if name else None,
        key,
        leaf,
        certificates[1:],
        _encryption(password, legacy=legacy),
    )


def _encryption(password: bytes, *, legacy: bool) -> serialization.KeySerializationEncryption:
    if not password:
        return serialization.NoEncryption()
    schemes = pkcs12.PBES
    scheme = schemes.PBESv1SHA1And3KeyTripleDESCBC if legacy else schemes.PBESv2SHA256AndAES256CBC
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_ITERATIONS)
        .key_cert_algorithm(scheme)
        .hmac_hash(hashes.SHA1() if legacy else hashes.SHA256())  # noqa: S303 - for old readers
        .build(password)
    )
