"""The OpenSSL context of a listening port: TLS 1.2 and 1.3, authenticated encryption only."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from OpenSSL import SSL
from twisted.internet.interfaces import IProtocolNegotiationFactory

from kmsd.tls.authorities import ClientAuthorities
from kmsd.tls.credentials import CertificateError, Credentials

# IANA's name → OpenSSL's name for TLS 1.2; in 1.3 both are one. In order of preference. All have
# forward secrecy and an AEAD (RFC 9325 §4.2).
TLS13_SUITES = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
)
TLS12_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
}

# A resumed connection skips the certificates: this bounds for how long. Contexts are made anew at
# least daily and with each new certificate or authority, which ends every session of the old one.
SESSION_LIFETIME_SECONDS = 3600

_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_SINGLE_ECDH_USE
)


def server_context(
    credentials: Credentials | None,
    authorities: ClientAuthorities | None = None,
    cipher_suites: Collection[str] = (),
) -> SSL.Context:
    """Make a context; every fault of key, certificate or authority shows here, not at a handshake.

    Without credentials each handshake fails with an alert: what a server whose first certificate
    has not come yet should do. `cipher_suites` (IANA or OpenSSL names) narrows the suites.

    Raises:
        CertificateError: OpenSSL refuses the key or certificate, or a suite is not on the list.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    _set_suites(context, cipher_suites)
    _set_sessions(context)
    context.set_alpn_select_callback(_select_protocol)
    context.set_verify(SSL.VERIFY_NONE)
    if authorities is not None:
        authorities.apply(context)
    if credentials is not None:
        _use(context, credentials)
    return context


def narrow_suites(wanted: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the OpenSSL names of the TLS 1.3 and the 1.2 suites that `wanted` leaves.

    Raises:
        CertificateError: a wanted suite is unknown or is not authenticated encryption.
    """
    known = {*TLS13_SUITES, *TLS12_SUITES, *TLS12_SUITES.values()}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise CertificateError(f"cipher suite not offered: {', '.join(unknown)}")
    keep = set(wanted) or known
    return (
        [name for name in TLS13_SUITES if name in keep],
        [openssl for iana, openssl in TLS12_SUITES.items() if keep & {iana, openssl}],
    )


def _set_suites(context: SSL.Context, wanted: Collection[str]) -> None:
    tls13, tls12 = narrow_suites(wanted)
    if tls12:
        context.set_cipher_list(":".join(tls12).encode())
    else:
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
    if tls13:
        context.set_tls13_ciphersuites(":".join(tls13).encode())
    else:
        context.set_max_proto_version(SSL.TLS1_2_VERSION)


def _set_sessions(context: SSL.Context) -> None:
    # Tickets carry most sessions; the cache serves TLS 1.2 clients that know none. The session-id
    # context is what lets a session with a client certificate be resumed, in this context only.
    context.set_session_id(secrets.token_bytes(16))
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
    context.set_timeout(SESSION_LIFETIME_SECONDS)


def _use(context: SSL.Context, credentials: Credentials) -> None:
    try:
        context.use_certificate(credentials.leaf)
        context.use_privatekey(credentials.key)
        for each in credentials.chain:
            context.add_extra_chain_cert(each)
        context.check_privatekey()
    except SSL.Error as error:
        raise CertificateError(f"OpenSSL refuses the certificate: {_reason(error)}") from error


def _reason(error: SSL.Error) -> str:
    details: Sequence[tuple[str, str, str]] = error.args[0] if error.args else ()
    return "; ".join(str(each[-1]) for each in details) or "no reason given"


def _select_protocol(
    connection: SSL.Connection, offered: list[bytes]
) -> bytes | SSL._NoOverlappingProtocols:
    # The factory under the TLS layer says what it speaks (RFC 7301); one that says nothing, as
    # KMIP's own port, is not the place to refuse a client that names something.
    factory = connection.get_app_data().factory.wrappedFactory
    speaks = IProtocolNegotiationFactory(factory, None)
    if speaks is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    for each in speaks.acceptableProtocols():
        if each in offered:
            return bytes(each)
    # An exception is how pyOpenSSL is told to send the alert no_application_protocol: no other
    # protocol's client can be made to talk to this one (ALPACA).
    raise SSL.Error([("SSL routines", "", "no application protocol in common")])
