"""The authorities whose client certificates are accepted, with their revocation lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL, crypto

from kmsd.tls.credentials import MALFORMED, CertificateError, pem_certificates, read_file

_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

# What an authority file is not: a leaf pinned as an authority accepts nothing and misleads.
_NOT_AN_AUTHORITY = "a certificate in it is not an authority's (basic constraints: CA is false)"


@dataclass(frozen=True)
class ClientAuthorities:
    """Who may sign client certificates.

    Attributes:
        certificates: the trusted authorities.
        revocation_lists: CRLs; as soon as there is one, every client certificate is looked up, and
            one whose issuer has published none here is refused.
    """

    certificates: tuple[x509.Certificate, ...]
    revocation_lists: tuple[x509.CertificateRevocationList, ...] = ()

    def apply(self, context: SSL.Context) -> None:
        """Make `context` demand a certificate signed by one of these authorities."""
        store = context.get_cert_store()
        if store is None:  # pragma: no cover - every context has one
            raise CertificateError("this TLS context has no certificate store")
        for certificate in self.certificates:
            store.add_cert(crypto.X509.from_cryptography(certificate))
            context.add_client_ca(certificate)
        if self.revocation_lists:
            for each in self.revocation_lists:
                store.add_crl(each)
            store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)


def load_authorities(path: Path) -> ClientAuthorities:
    """Load the authorities, and any revocation lists beside them, from a PEM file.

    Raises:
        CertificateError: unreadable, empty, or one of the certificates is not an authority's.
    """
    data = read_file(path)
    certificates = pem_certificates(path, data)
    if not all(_may_sign(each) for each in certificates):
        raise CertificateError(f"{path}: {_NOT_AN_AUTHORITY}")
    try:
        lists = [x509.load_pem_x509_crl(each) for each in _CRL.findall(data)]
    except ValueError as error:
        raise CertificateError(f"{path}: holds an unreadable revocation list") from error
    return ClientAuthorities(tuple(certificates), tuple(lists))


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except MALFORMED:
        return False
    except x509.ExtensionNotFound:
        # A version 1 root has no extensions; OpenSSL accepts it as a trust anchor.
        return certificate.issuer == certificate.subject
