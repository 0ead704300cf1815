"""Certificates: issuing, reading, PKCS#10, PKCS#7. Source: RFC 5280, RFC 2986.

Chains and revocation are in `x509_chains` and `x509_crl`. Times are seconds since the epoch, UTC.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from kmsd.crypto import x509_extensions
from kmsd.crypto.errors import invalid_certificate, unsupported
from kmsd.crypto.keys import PrivateKey, PublicKey, describe, is_public

_T = TypeVar("_T")
DEFAULT_DAYS = 365
_MOST_DAYS = 36_525
_PEM = b"-----BEGIN "
_SIGNING = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_HASHING_THEMSELVES = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
_DAY_SECONDS = 86_400


class Subject(NamedTuple):
    """For whom a certificate is: name, key, and the extensions it brings along."""

    name: x509.Name
    key: PublicKey
    extensions: Sequence[x509_extensions.Extension] = ()


class Issuer(NamedTuple):
    """Who signs; without a certificate the subject itself does."""

    key: PrivateKey
    certificate: x509.Certificate | None = None


def issue(
    subject: Subject,
    issuer: Issuer,
    *,
    now: int,
    days: int = DEFAULT_DAYS,
    extensions: bytes = b"",
) -> x509.Certificate:
    """Make a version 3 certificate, valid from `now` and no longer than its issuer's.

    Args:
        subject: name, key and inherited extensions.
        issuer: key and certificate of the authority.
        now: seconds since the epoch.
        days: of validity.
        extensions: configuration text, see `x509_extensions`; wins over inherited ones.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE; UNSUPPORTED_… for keys that cannot be certified.
    """
    if not 1 <= days <= _MOST_DAYS:
        raise invalid_certificate(f"a validity of 1 to {_MOST_DAYS} days is allowed")
    end = now + days * _DAY_SECONDS
    if issuer.certificate is not None:
        end = min(end, int(issuer.certificate.not_valid_after_utc.timestamp()))
    try:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject.name)
            .issuer_name(issuer.certificate.subject if issuer.certificate else subject.name)
            .public_key(subject.key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(now))
            .not_valid_after(moment(end))
        )
        for value, critical in _extensions(subject, issuer, extensions):
            builder = builder.add_extension(value, critical)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise invalid_certificate("this key, name or validity cannot be certified") from error
    signed: x509.Certificate = sign_with(builder, issuer.key)
    return signed


def sign_with(builder: Any, key: PrivateKey) -> Any:
    """Sign a certificate, a request or a list with SHA-256, or as the key's algorithm says."""
    if not isinstance(key, _SIGNING | _HASHING_THEMSELVES):
        raise unsupported(f"signing certificates with {describe(key).algorithm.wire_name}")
    return builder.sign(key, None if isinstance(key, _HASHING_THEMSELVES) else hashes.SHA256())


def _extensions(subject: Subject, issuer: Issuer, text: bytes) -> list[x509_extensions.Extension]:
    """Merge inherited, requested and own extensions; each kind once, the requested one first."""
    parties = _parties(subject, issuer)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parties.issuer)
    own = [
        x509_extensions.Extension(parties.subject, critical=False),
        x509_extensions.Extension(authority, critical=False),
    ]
    inherited = [row for row in subject.extensions if row.value.oid not in _KEY_IDENTIFIERS]
    merged: dict[x509.ObjectIdentifier, x509_extensions.Extension] = {}
    for row in [*own, *inherited, *x509_extensions.parse(text, parties)]:
        merged[row.value.oid] = row
    return list(merged.values())


_KEY_IDENTIFIERS = {x509.SubjectKeyIdentifier.oid, x509.AuthorityKeyIdentifier.oid}


def _parties(subject: Subject, issuer: Issuer) -> x509_extensions.Parties:
    """Find the key identifiers; an authority's is the one in its certificate."""
    own = x509.SubjectKeyIdentifier.from_public_key(subject.key)  # type: ignore[arg-type]
    if issuer.certificate is None:
        return x509_extensions.Parties(own, own)
    try:
        found = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        key = issuer.certificate.public_key()
        return x509_extensions.Parties(own, x509.SubjectKeyIdentifier.from_public_key(key))
    return x509_extensions.Parties(own, found.value)


def renewal(certificate: x509.Certificate) -> Subject:
    """Return the subject of a certificate, to issue it anew."""
    return Subject(certificate.subject, public_key_of(certificate), inherited(certificate))


def inherited(
    holder: x509.Certificate | x509.CertificateSigningRequest,
) -> list[x509_extensions.Extension]:
    """Return the extensions of a certificate or a request."""
    try:
        return [x509_extensions.Extension(row.value, row.critical) for row in holder.extensions]
    except ValueError:
        raise invalid_certificate("its extensions are malformed") from None


def load_request(data: bytes) -> Subject:
    """Return the subject of a PKCS#10 request in DER or PEM, its signature checked.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE: malformed, or not signed by its own key.
    """
    load: Callable[[bytes], x509.CertificateSigningRequest] = (
        x509.load_pem_x509_csr if data.startswith(_PEM) else x509.load_der_x509_csr
    )
    request = _fenced("request", load, data)
    if not _fenced("request", lambda _: request.is_signature_valid, b""):
        raise invalid_certificate("the request is not signed by its own key")
    key = _fenced("request", lambda _: request.public_key(), b"")
    if not is_public(key):
        raise invalid_certificate("the request is for a key that is not supported")
    return Subject(request.subject, key, inherited(request))


def make_request(key: PrivateKey, name: x509.Name) -> bytes:
    """Make a PKCS#10 request in DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request: x509.CertificateSigningRequest = sign_with(builder, key)
    return request.public_bytes(serialization.Encoding.DER)


def load_certificate(data: bytes) -> x509.Certificate:
    """Load a certificate in DER or PEM; INVALID_ATTRIBUTE_VALUE when it is none."""
    if data.startswith(_PEM):
        return _fenced("certificate", x509.load_pem_x509_certificate, data)
    return _fenced("certificate", x509.load_der_x509_certificate, data)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's DER, the form of KMIP's CertificateValue."""
    return certificate.public_bytes(serialization.Encoding.DER)


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """Return the key in a certificate."""
    key = _fenced("certificate", lambda _: certificate.public_key(), b"")
    if not is_public(key):
        raise invalid_certificate("its key is of an algorithm that is not supported")
    return key


def pkcs7_of(certificates: Sequence[x509.Certificate], key: PrivateKey | None = None) -> bytes:
    """Make a PKCS#7 in DER: the leaf and its chain, signed by the leaf's key where it can be.

    Source: RFC 2315 §9; the product signs an empty content.
    """
    if isinstance(key, _SIGNING):
        leaf, *chain = certificates
        builder = pkcs7.PKCS7SignatureBuilder().set_data(b"")
        builder = builder.add_signer(leaf, key, hashes.SHA256())
        for certificate in chain:
            builder = builder.add_certificate(certificate)
        return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    return pkcs7.serialize_certificates(list(certificates), serialization.Encoding.DER)


def load_pkcs7(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PKCS#7 in DER or PEM."""
    load = (
        pkcs7.load_pem_pkcs7_certificates
        if data.startswith(_PEM)
        else pkcs7.load_der_pkcs7_certificates
    )
    return _fenced("PKCS#7", load, data)


def moment(seconds: int) -> dt.datetime:
    """Turn seconds since the epoch into the library's form of time."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise invalid_certificate("a time beyond what certificates can say") from None


def _fenced(what: str, load: Callable[[bytes], _T], data: bytes) -> _T:
    try:
        return load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise invalid_certificate(f"not a {what} that can be read") from None
