"""From options to the TLS of the ports."""

from __future__ import annotations

from typing import Any

from kmsd.settings import Settings
from kmsd.tls.choice import TLSOptions, secured
from kmsd.tls.credentials import CertificateError
from kmsd.tls.listening import Secure


def secure(settings: Settings, reactor: Any) -> Secure | None:
    """Return the TLS that the settings ask for, or None when they ask for none.

    Raises:
        CertificateError: a file cannot be used; the text says what to mend.
    """
    try:
        return secured(reactor, options(settings), settings.hostname)
    except CertificateError as error:
        if settings.https_p12_password is None and "wrong password" in str(error):
            raise CertificateError(
                f"--https-p12-file: give its password with --https-p12-password ({error})"
            ) from None
        raise


def options(settings: Settings) -> TLSOptions:
    """Return what `kmsd.tls` must know, with paths below the root data path."""
    root = settings.root_folder
    p12 = None if settings.use_certbot else settings.https_p12_file  # ACME's comes first
    pem = None if settings.use_certbot else settings.tls_cert_file
    return TLSOptions(
        https_p12_file=settings.below_root(p12),
        https_p12_password=(settings.https_p12_password or "") if p12 else "",
        tls_cert_file=settings.below_root(pem),
        tls_key_file=settings.below_root(settings.tls_key_file) if pem else None,
        tls_chain_file=settings.below_root(settings.tls_chain_file) if pem else None,
        tls_cipher_suites=settings.tls_cipher_suites,
        authority_cert_file=settings.below_root(settings.authority_cert_file),
        use_certbot=settings.use_certbot,
        certbot_hostname=settings.certbot_hostname,
        certbot_email=settings.certbot_email,
        certbot_ssl_path=root / settings.certbot_ssl_path,
        certbot_directory_url=settings.certbot_directory_url,
        certbot_directory_ca_file=settings.below_root(settings.certbot_directory_ca_file),
        certbot_http_port=settings.certbot_http_port,
    )
