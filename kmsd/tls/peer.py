"""Who the client is, by its certificate."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL.crypto import X509
from twisted.internet.interfaces import ITransport

from kmsd.tls.credentials import MALFORMED

# Longer than RFC 5280's 64, which OpenSSL does not hold to, and as long as the stores can keep.
LONGEST_NAME = 255


@dataclass(frozen=True)
class ClientName:
    """Whom a certificate names, and from when until when (seconds since the epoch, UTC)."""

    name: str | None
    start: float
    end: float

    def at(self, now: float) -> str | None:
        """Return the name while the certificate is in its time."""
        return self.name if self.start <= now < self.end else None


_NOBODY = ClientName(None, 0, 0)

# Reading a certificate takes longer than most requests: once for each connection.
_known: WeakKeyDictionary[object, ClientName] = WeakKeyDictionary()


def client_common_name(transport: ITransport, now: float) -> str | None:
    """Return the common name of the client's certificate, or None when it names nobody.

    OpenSSL has checked signature, time and purpose at the full handshake. A long connection or a
    resumed session may outlive the certificate, so the time is looked at again, at `now` (seconds
    since the epoch, UTC), and the purpose is too. A certificate names nobody unless it has exactly
    one common name that is printable, without surrounding blanks, and is not `*`, which means
    everyone in access rights.
    """
    known = _known.get(transport)
    if known is None:
        get = getattr(transport, "getPeerCertificate", None)
        peer = None if get is None else get()
        if peer is None:
            return None  # not kept: the handshake may still be going on
        known = _known[transport] = _read(peer)
    return known.at(now)


def _read(peer: X509) -> ClientName:
    try:
        return client_name(peer.to_cryptography())
    except MALFORMED:
        return _NOBODY


def client_name(certificate: x509.Certificate) -> ClientName:
    """Return whom `certificate` names and when; the rule of `client_common_name`."""
    try:
        return ClientName(
            _one_name(certificate) if _for_clients(certificate) else None,
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )
    except MALFORMED:
        # A name or extension that pyca cannot parse, though OpenSSL can.
        return _NOBODY


def _one_name(certificate: x509.Certificate) -> str | None:
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
