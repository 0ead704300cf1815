"""Who the client is, by its certificate."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.interfaces import ISSLTransport, ITransport

# RFC 5280 A.1: ub-common-name is 64; OpenSSL lets longer ones through, and e-mail names are longer.
LONGEST_NAME = 255


def client_common_name(transport: ITransport, now: int) -> str | None:
    """Return the common name of the client's certificate, or None when it names nobody.

    OpenSSL has checked signature, time and purpose at the full handshake. A long connection or a
    resumed session may outlive the certificate, so time and purpose are looked at again, at `now`
    (seconds since the epoch, UTC). A certificate names nobody unless it has exactly one common
    name that is printable, without surrounding blanks, and is not `*`, which means everyone in
    access rights.
    """
    get = getattr(transport, "getPeerCertificate", None)
    peer = get() if get is not None and ISSLTransport.providedBy(transport) else None
    if peer is None:
        return None
    try:
        return common_name(peer.to_cryptography(), now)
    except ValueError:
        # A name or extension that pyca cannot parse (OpenSSL can): nobody.
        return None


def common_name(certificate: x509.Certificate, now: int) -> str | None:
    """Return the one acceptable common name of `certificate`; the rule of `client_common_name`.

    Raises:
        ValueError: the certificate is malformed.
    """
    moment = datetime.fromtimestamp(now, UTC)
    if not certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc:
        return None
    if not _for_clients(certificate):
        return None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or not isinstance(names[0].value, str):
        return None
    return names[0].value if _names_somebody(names[0].value) else None


def _names_somebody(name: str) -> bool:
    if not 0 < len(name) <= LONGEST_NAME or name.strip() != name or name == "*":
        return False
    # Control, format, unassigned and private characters: NUL, line ends, right-to-left marks and
    # the like have no place in a name that is logged, stored and compared.
    kinds = {unicodedata.category(each) for each in name}
    return not any(kind[0] == "C" or kind in {"Zl", "Zp"} for kind in kinds)


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage
