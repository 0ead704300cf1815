"""Who the client trusts, and by which certificate it is known itself."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from kmsd.client.errors import ClientError, Trouble


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """How to trust a server, and what to show it; files come as their contents.

    Attributes:
        accept_invalid_certs: take any certificate for any name: for tests only.
        authorities: PEM certificates to trust instead of the system's.
        pinned: a PEM certificate that the server's must be equal to, besides being trusted.
        pkcs12: the client's own key, certificate and chain.
        pkcs12_password: what opens it.
    """

    accept_invalid_certs: bool = False
    authorities: bytes | None = None
    pinned: bytes | None = None
    pkcs12: bytes | None = field(default=None, repr=False)
    pkcs12_password: str | None = field(default=None, repr=False)


class Trust:
    """Makes TLS connections by `TlsOptions`; faults of the files show when it is made."""

    def __init__(self, options: TlsOptions) -> None:
        """Read the certificates.

        Raises:
            ClientError: one of them cannot be read, or the password is wrong.
        """
        self._insecure = options.accept_invalid_certs
        self._roots = _roots(options.authorities)
        self._pin = _fingerprint(options.pinned)
        self._own = _own(options)

    def creator(self, hostname: str) -> IOpenSSLClientConnectionCreator:
        """Return what makes the TLS side of a connection to `hostname`."""
        if self._insecure:
            made: Any = _Unverified(hostname, CertificateOptions(**self._own, **_LEAST))
        else:
            made = optionsForClientTLS(
                hostname, trustRoot=self._roots, extraCertificateOptions=self._own | _LEAST
            )
        return made if self._pin is None else _Pinned(made, self._pin, self._insecure)


_LEAST = {"raiseMinimumTo": TLSVersion.TLSv1_2}


@implementer(IPolicyForHTTPS)
class HttpsPolicy:
    """The same for Twisted's HTTP client."""

    def __init__(self, trust: Trust) -> None:
        """Connect by `trust`."""
        self._trust = trust

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: N802, ARG002
        """Return what makes the TLS side of a connection."""
        return self._trust.creator(hostname.decode("ascii"))


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Makes connections that take any certificate."""

    def __init__(self, hostname: str, options: CertificateOptions) -> None:
        self._hostname = hostname
        self._options = options

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803
        connection = SSL.Connection(self._options.getContext(), None)
        connection.set_app_data(tlsProtocol)
        if not _is_address(self._hostname):
            connection.set_tlsext_host_name(self._hostname.encode("idna"))
        return connection


@implementer(IOpenSSLClientConnectionCreator)
class _Pinned:
    """Makes connections to a server with exactly one certificate."""

    def __init__(self, inner: Any, pin: bytes, insecure: bool) -> None:  # noqa: FBT001
        self._inner = inner
        self._pin = pin
        self._insecure = insecure

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803
        connection: SSL.Connection = self._inner.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def _check(self, _connection: Any, shown: Any, _error: int, depth: int, trusted: int) -> bool:
        if depth == 0:
            der = shown.to_cryptography().public_bytes(Encoding.DER)
            if hashlib.sha256(der).digest() != self._pin:
                return False
        return self._insecure or bool(trusted)


def _is_address(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True


def _roots(pem: bytes | None) -> Any:
    if pem is None:
        return platformTrust()
    found = [crypto.X509.from_cryptography(each) for each in _certificates(pem, "authority")]
    return trustRootFromCertificates([Certificate(each) for each in found])


def _fingerprint(pem: bytes | None) -> bytes | None:
    if pem is None:
        return None
    leaf = _certificates(pem, "server's")[0]
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()


def _certificates(pem: bytes, whose: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ClientError(
            Trouble.SETTINGS, f"the {whose} certificate is not readable PEM"
        ) from None


def _own(options: TlsOptions) -> dict[str, Any]:
    """Return the client's key and certificate as Twisted's options take them."""
    if options.pkcs12 is None:
        return {}
    password = (options.pkcs12_password or "").encode() or None
    try:
        store = pkcs12.load_pkcs12(options.pkcs12, password)
    except ValueError:
        raise ClientError(
            Trouble.SETTINGS,
            "the client's PKCS#12 file cannot be opened: is it one, and is the password right?",
        ) from None
    if store.key is None or store.cert is None:
        raise ClientError(Trouble.SETTINGS, "the client's PKCS#12 file lacks key or certificate")
    return {
        "privateKey": store.key,
        "certificate": store.cert.certificate,
        "extraCertChain": [each.certificate for each in store.additional_certs],
    }
