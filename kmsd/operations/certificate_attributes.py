"""What an X.509 certificate says of itself, as attributes (KMIP 2.1 §4.6, §4.61 to §4.63)."""

from cryptography import x509
from cryptography.x509.oid import SignatureAlgorithmOID as Oid

from kmsd.crypto import formats, x509_names
from kmsd.crypto import x509 as certificates
from kmsd.kmip.enums import DigitalSignatureAlgorithm, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import (
    X509CertificateIdentifier,
    X509CertificateIssuer,
    X509CertificateSubject,
)

_SIGNATURES = {
    Oid.RSA_WITH_SHA1: DigitalSignatureAlgorithm.SHA1_WITH_RSA_ENCRYPTION,
    Oid.RSA_WITH_SHA224: DigitalSignatureAlgorithm.SHA224_WITH_RSA_ENCRYPTION,
    Oid.RSA_WITH_SHA256: DigitalSignatureAlgorithm.SHA256_WITH_RSA_ENCRYPTION,
    Oid.RSA_WITH_SHA384: DigitalSignatureAlgorithm.SHA384_WITH_RSA_ENCRYPTION,
    Oid.RSA_WITH_SHA512: DigitalSignatureAlgorithm.SHA512_WITH_RSA_ENCRYPTION,
    Oid.RSASSA_PSS: DigitalSignatureAlgorithm.RSASSAPSS,
    Oid.DSA_WITH_SHA1: DigitalSignatureAlgorithm.DSA_WITH_SHA1,
    Oid.DSA_WITH_SHA224: DigitalSignatureAlgorithm.DSA_WITH_SHA224,
    Oid.DSA_WITH_SHA256: DigitalSignatureAlgorithm.DSA_WITH_SHA256,
    Oid.ECDSA_WITH_SHA1: DigitalSignatureAlgorithm.ECDSA_WITH_SHA1,
    Oid.ECDSA_WITH_SHA224: DigitalSignatureAlgorithm.ECDSA_WITH_SHA224,
    Oid.ECDSA_WITH_SHA256: DigitalSignatureAlgorithm.ECDSA_WITH_SHA256,
    Oid.ECDSA_WITH_SHA384: DigitalSignatureAlgorithm.ECDSA_WITH_SHA384,
    Oid.ECDSA_WITH_SHA512: DigitalSignatureAlgorithm.ECDSA_WITH_SHA512,
}


def described(der: bytes) -> dict[str, object]:
    """Return the attributes that a certificate in DER has by itself.

    Raises:
        KmipError: INVALID_FIELD: it is no certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "certificate_attributes": x509_names.attributes_of(certificate),
            **_parties(certificate),
            **_key(certificate),
            **_signature(certificate),
        }
    except ValueError:
        raise KmipError(
            ResultReason.INVALID_FIELD, "CertificateValue is not an X.509 certificate in DER"
        ) from None


def _parties(certificate: x509.Certificate) -> dict[str, object]:
    issuer, subject = certificate.issuer.public_bytes(), certificate.subject.public_bytes()
    number = certificate.serial_number
    return {
        "x509_certificate_identifier": X509CertificateIdentifier(
            issuer_distinguished_name=issuer,
            certificate_serial_number=number.to_bytes(
                number.bit_length() // 8 + 1, "big", signed=True
            ),
        ),
        "x509_certificate_issuer": X509CertificateIssuer(issuer_distinguished_name=issuer),
        "x509_certificate_subject": X509CertificateSubject(subject_distinguished_name=subject),
    }


def _key(certificate: x509.Certificate) -> dict[str, object]:
    """Say of what kind the certified key is; of one that is not known here, nothing."""
    try:
        key = formats.describe(certificates.public_key_of(certificate))
    except KmipError:
        return {}
    return {"cryptographic_algorithm": key.algorithm, "cryptographic_length": key.length_bits}


def _signature(certificate: x509.Certificate) -> dict[str, object]:
    algorithm = _SIGNATURES.get(certificate.signature_algorithm_oid)
    return {"digital_signature_algorithm": (algorithm,)} if algorithm else {}
