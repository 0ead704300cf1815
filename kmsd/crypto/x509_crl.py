"""Certificate revocation lists: making, reading, asking. Source: RFC 5280 §5."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kmsd.crypto.errors import invalid_certificate
from kmsd.crypto.keys import PrivateKey
from kmsd.crypto.x509 import moment, sign_with
from kmsd.kmip.enums import RevocationReasonCode as Reason

_PEM = b"-----BEGIN "
_DEFAULT_LIFE_SECONDS = 7 * 86_400

_REASONS = {
    Reason.UNSPECIFIED: x509.ReasonFlags.unspecified,
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.CA_COMPROMISE: x509.ReasonFlags.ca_compromise,
    Reason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    Reason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
}


class Revoked(NamedTuple):
    """An entry of a list."""

    serial_number: int
    at: int
    """Seconds since the epoch."""
    reason: Reason = Reason.UNSPECIFIED


def make_crl(
    issuer: x509.Certificate,
    key: PrivateKey,
    revoked: Sequence[Revoked],
    *,
    now: int,
    number: int,
    life_seconds: int = _DEFAULT_LIFE_SECONDS,
) -> x509.CertificateRevocationList:
    """Make a list, valid from `now` for `life_seconds`; `number` must grow from list to list."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(moment(now))
        .next_update(moment(now + life_seconds))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority(issuer), critical=False)
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(_entry(entry))
    made: x509.CertificateRevocationList = sign_with(builder, key)
    return made


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """Load a list in DER or PEM; INVALID_ATTRIBUTE_VALUE when it is none."""
    load = x509.load_pem_x509_crl if data.startswith(_PEM) else x509.load_der_x509_crl
    try:
        return load(data)
    except ValueError:
        raise invalid_certificate("not a revocation list that can be read") from None


def crl_bytes(crl: x509.CertificateRevocationList, *, pem: bool = False) -> bytes:
    """Return a list in DER or PEM."""
    return crl.public_bytes(serialization.Encoding.PEM if pem else serialization.Encoding.DER)


def distribution_points(certificate: x509.Certificate) -> list[str]:
    """Return the URLs where a certificate's list is to be had."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        name.value
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ]


def revocation_problem(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crls: Mapping[str, x509.CertificateRevocationList],
    now: int,
) -> str | None:
    """Say why a certificate counts as revoked, or that nobody knows; None: it is not revoked.

    Fails closed: a certificate that names distribution points needs a current list, signed by its
    issuer, from one of them.
    """
    points = distribution_points(certificate)
    if not points:
        return None
    lists = [crls[point] for point in points if point in crls]
    usable = [crl for crl in lists if _usable(crl, issuer, now)]
    if any(
        crl.get_revoked_certificate_by_serial_number(certificate.serial_number) for crl in usable
    ):
        return "a certificate of the chain is revoked"
    if not usable:
        return "no current revocation list of the issuer is to be had"
    return None


def _usable(crl: x509.CertificateRevocationList, issuer: x509.Certificate, now: int) -> bool:
    """Check name, times and signature of a list."""
    if crl.issuer != issuer.subject or now < crl.last_update_utc.timestamp():
        return False
    if crl.next_update_utc is None or now > crl.next_update_utc.timestamp():
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _authority(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer.public_key()  # type: ignore[arg-type]
        )
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _entry(entry: Revoked) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(entry.serial_number)
        .revocation_date(moment(entry.at))
    )
    if entry.reason is not Reason.UNSPECIFIED:  # RFC 5280 §5.3.1: absent rather than unspecified
        builder = builder.add_extension(x509.CRLReason(_REASONS[entry.reason]), critical=False)
    return builder.build()
