"""Names in certificates: KMIP's CertificateAttributes to distinguished names and back."""

from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from kmsd.crypto.errors import invalid_certificate
from kmsd.kmip.structures import CertificateAttributes

_T = TypeVar("_T", bound=x509.ExtensionType)
_FIELDS = {
    "cn": NameOID.COMMON_NAME,
    "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "c": NameOID.COUNTRY_NAME,
    "st": NameOID.STATE_OR_PROVINCE_NAME,
    "l": NameOID.LOCALITY_NAME,
    "o": NameOID.ORGANIZATION_NAME,
    "email": NameOID.EMAIL_ADDRESS,
    "title": NameOID.TITLE,
    "dc": NameOID.DOMAIN_COMPONENT,
    "dn_qualifier": NameOID.DN_QUALIFIER,
}
"""The fields of a name, in the order in which the product writes them."""


def subject_name(attributes: CertificateAttributes) -> x509.Name:
    """Return the subject's name; empty fields count as absent, as clients send them all.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE: a field that X.509 does not allow so.
    """
    try:
        return x509.Name(
            [
                x509.NameAttribute(oid, value)
                for name, oid in _FIELDS.items()
                if (value := getattr(attributes, f"certificate_subject_{name}"))
            ]
        )
    except ValueError as error:
        raise invalid_certificate(f"the subject's name: {error}") from error


def attributes_of(certificate: x509.Certificate) -> CertificateAttributes:
    """Return the names in a certificate, its serial number and its key identifier, both in hex."""
    fields = {
        f"certificate_{party}_{field}": _value(name, oid)
        for party, name in (("subject", certificate.subject), ("issuer", certificate.issuer))
        for field, oid in _FIELDS.items()
    }
    return CertificateAttributes(
        **fields,
        certificate_subject_serial_number=f"{certificate.serial_number:x}",
        certificate_subject_uid=(key_identifier(certificate) or b"").hex() or None,
    )


def key_identifier(certificate: x509.Certificate) -> bytes | None:
    """Return the SubjectKeyIdentifier."""
    found = _extension(certificate, x509.SubjectKeyIdentifier)
    return found.digest if found else None


def authority_identifier(certificate: x509.Certificate) -> bytes | None:
    """Return the AuthorityKeyIdentifier's key identifier."""
    found = _extension(certificate, x509.AuthorityKeyIdentifier)
    return found.key_identifier if found else None


def _extension(certificate: x509.Certificate, kind: type[_T]) -> _T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _value(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None
