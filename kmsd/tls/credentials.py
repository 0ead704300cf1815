"""The server's key and certificates: from PKCS#12 or PEM, matched, sorted and judged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

# Far above any real file; a certificate file that is larger is a mistake in the settings.
LARGEST_FILE_BYTES = 1 << 20

# What pyca raises over a certificate that OpenSSL may well have read.
MALFORMED = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_PEM_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


class CertificateError(ValueError):
    """A certificate or key cannot be used; the text says which and why, never the password."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A private key, the certificate that carries its public half, and that one's issuers.

    Attributes:
        key: the private key.
        leaf: the certificate shown to clients.
        chain: issuers from the leaf's upwards, without the self-signed root.
        complete: false when the file had no issuer of the leaf at all.
    """

    key: PrivateKey = field(repr=False)
    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    complete: bool = True

    def expired(self, now: int) -> bool:
        """Say whether the leaf is out of its time at `now` (seconds since the epoch, UTC)."""
        moment = datetime.fromtimestamp(now, UTC)
        return not self.leaf.not_valid_before_utc <= moment < self.leaf.not_valid_after_utc

    def warnings(self, now: int) -> Iterator[str]:
        """Name what a client may refuse, though the server can serve it."""
        if self.expired(now):
            yield (
                f"the certificate is valid from {self.leaf.not_valid_before_utc:%Y-%m-%d %H:%M}"
                f" to {self.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC only"
            )
        if not self.complete:
            yield "the file holds no issuer of the certificate; clients may lack the intermediate"
        if not _serves(self.leaf):
            yield "the certificate's extended key usage does not include server authentication"


def load_pkcs12(path: Path, password: str | None) -> Credentials:
    """Load key, certificate and chain from a PKCS#12 file (RFC 7292).

    An empty or absent password tries both ways that programs write "no password".

    Raises:
        CertificateError: unreadable, wrong password, no key, or no certificate for the key.
    """
    data = read_file(path)
    store = _open_pkcs12(path, data, password)
    if store.key is None:
        raise CertificateError(f"{path}: holds no private key")
    found = [store.cert, *store.additional_certs]
    certificates = [each.certificate for each in found if each is not None]
    return assemble(path, store.key, certificates)


def load_pem(
    certificate_path: Path,
    key_path: Path,
    chain_path: Path | None = None,
    password: str | None = None,
) -> Credentials:
    """Load a key and a certificate with its chain from PEM files, in any order within them.

    Raises:
        CertificateError: unreadable, wrong password, no key, or no certificate for the key.
    """
    key = _pem_key(key_path, read_file(key_path), password)
    data = read_file(certificate_path)
    if chain_path is not None:
        data += b"\n" + read_file(chain_path)
    return assemble(certificate_path, key, pem_certificates(certificate_path, data))


def from_pem(name: Path, data: bytes) -> Credentials:
    """Take key and certificates from one PEM text; `name` is for messages.

    Raises:
        CertificateError: as `load_pem`.
    """
    return assemble(name, _pem_key(name, data, None), pem_certificates(name, data))


def assemble(path: Path, key: object, certificates: Sequence[x509.Certificate]) -> Credentials:
    """Find the certificate that belongs to `key` and put its issuers in order.

    Raises:
        CertificateError: the key is of a kind TLS cannot use, or no certificate belongs to it.
    """
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{path}: a key of this kind cannot serve TLS (RSA, EC or Ed25519)")
    if not certificates:
        raise CertificateError(f"{path}: holds no certificate")
    wanted = _public_bytes(key)
    leaves = [each for each in certificates if _public_bytes(each) == wanted]
    if not leaves:
        raise CertificateError(f"{path}: no certificate belongs to the private key")
    # After a renewal with the same key both may be there: the newest serves.
    leaf = max(leaves, key=lambda each: each.not_valid_after_utc)
    issuers = list(_issuers(leaf, certificates))
    return Credentials(
        key=key,
        leaf=leaf,
        chain=tuple(each for each in issuers if not _self_signed(each)),
        complete=bool(issuers) or _self_signed(leaf),
    )


def pem_certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    """Return every certificate in a PEM text.

    Raises:
        CertificateError: there is none, or one cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(data)
    except (*MALFORMED, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path}: holds no readable PEM certificate") from error


def read_file(path: Path) -> bytes:
    """Read a certificate file.

    Raises:
        CertificateError: it cannot be read or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror or 'cannot be read'}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise CertificateError(f"{path}: too large for a certificate file")
    return data


def read_password(path: Path) -> str:
    """Return the password in a file, without the line end after it.

    Raises:
        CertificateError: it cannot be read, or is not UTF-8 text.
    """
    try:
        return read_file(path).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CertificateError(f"{path}: the password is not UTF-8 text") from error


def _open_pkcs12(path: Path, data: bytes, password: str | None) -> pkcs12.PKCS12KeyAndCertificates:
    # RFC 7292 does not say how "no password" is encoded: as an empty one, or not at all.
    tries = [password.encode()] if password else [b"", None]
    for each in tries:
        try:
            return pkcs12.load_pkcs12(data, each)
        except (ValueError, UnsupportedAlgorithm) as error:
            reason = error
    if b"-----BEGIN " in data[:100]:
        raise CertificateError(f"{path}: is PEM, not PKCS#12") from reason
    if "password" in str(reason):
        # A build of OpenSSL without its legacy provider says the same of RC2 and RC4 files.
        raise CertificateError(
            f"{path}: wrong password, or an encoding this OpenSSL has switched off (RC2, RC4)"
        ) from reason
    raise CertificateError(f"{path}: is not a readable PKCS#12 file") from reason


def _pem_key(path: Path, data: bytes, password: str | None) -> object:
    found = _PEM_KEY.search(data)
    if found is None:
        raise CertificateError(f"{path}: holds no PEM private key")
    secret = password.encode() if password else None
    try:
        return load_pem_private_key(found.group(), secret)
    except TypeError:
        # pyca's way to say: password given but not needed, or the reverse.
        if secret is not None:
            return _pem_key(path, data, None)
        raise CertificateError(f"{path}: the private key needs a password") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path}: wrong password or damaged private key") from error


def _public_bytes(holder: PrivateKey | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _issuers(
    leaf: x509.Certificate, pool: Iterable[x509.Certificate]
) -> Iterator[x509.Certificate]:
    # Self-signed ones last: where a cross-signed twin of a root is there, it is worth sending.
    rest = sorted(pool, key=_self_signed)
    current = leaf
    while not _self_signed(current):
        issuer = next((each for each in rest if _issued_by(current, each)), None)
        if issuer is None:
            return
        rest.remove(issuer)
        yield issuer
        current = issuer


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate == issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _serves(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usage
