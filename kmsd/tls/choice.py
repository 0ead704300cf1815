"""Which TLS the options ask for, and what is missing for it.

The names of the fields are those of the options. In order: ACME, PKCS#12, PEM, none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IReactorCore, IStreamServerEndpoint

from kmsd.tls.credentials import CertificateError
from kmsd.tls.listening import Secure, secure_with_acme, secure_with_files
from kmsd.tls.reload import CertificateFiles


@dataclass(frozen=True, kw_only=True)
class TLSOptions:
    """What the operator said; relative paths are already resolved."""

    https_p12_file: Path | None = None
    https_p12_password: str = field(default="", repr=False)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_chain_file: Path | None = None
    tls_cipher_suites: tuple[str, ...] = ()
    authority_cert_file: Path | None = None
    use_certbot: bool = False
    certbot_hostname: str = ""
    certbot_email: str = ""
    certbot_ssl_path: Path = Path("certbot-ssl")
    certbot_directory_url: str = ""
    certbot_directory_ca_file: Path | None = None
    certbot_http_port: int = 80

    def missing(self) -> Iterator[str]:
        """Say what contradicts or lacks something, one line each."""
        if self.use_certbot and not self.certbot_hostname:
            yield "--use-certbot needs --certbot-hostname, the name to certify"
        if self.use_certbot and not self.certbot_email:
            yield "--use-certbot needs --certbot-email, for the certification authority"
        if self.https_p12_password and not self.wanted:
            yield "--https-p12-password without --https-p12-file"
        if (self.tls_key_file or self.tls_chain_file) and self.tls_cert_file is None:
            yield "--tls-key-file and --tls-chain-file need --tls-cert-file"
        if self.authority_cert_file is not None and not self.wanted:
            yield "--authority-cert-file needs HTTPS: --https-p12-file, --tls-cert-file or ACME"

    @property
    def wanted(self) -> bool:
        """Say whether there is to be TLS at all."""
        return bool(self.use_certbot or self.https_p12_file or self.tls_cert_file)


def secured(reactor: IReactorCore, options: TLSOptions, hostname: str = "") -> Secure | None:
    """Make the TLS that `options` ask for, or return None when they ask for none.

    `hostname` is the address on which HTTP-01 is answered, as the server's own.

    Raises:
        CertificateError: an option is missing, or a file cannot be used.
    """
    for problem in options.missing():
        raise CertificateError(problem)
    if not options.wanted:
        return None
    if options.use_certbot:
        return _with_acme(reactor, options, hostname)
    pem = options.https_p12_file is None
    files = CertificateFiles(
        pkcs12=options.https_p12_file,
        certificate=options.tls_cert_file if pem else None,
        key=options.tls_key_file if pem else None,
        chain=options.tls_chain_file if pem else None,
        password=options.https_p12_password or None,
        authorities=options.authority_cert_file,
    )
    return secure_with_files(reactor, files, options.tls_cipher_suites)


def _with_acme(reactor: IReactorCore, options: TLSOptions, hostname: str) -> Secure:
    try:
        from kmsd.acme.bot import LETS_ENCRYPT, BotOptions
    except ImportError as error:
        raise CertificateError(
            f"--use-certbot needs the package's extra 'acme' (pip install kmsd[acme]): {error}"
        ) from error

    bot = BotOptions(
        server_name=options.certbot_hostname,
        email=options.certbot_email,
        folder=options.certbot_ssl_path,
        directory_url=options.certbot_directory_url or LETS_ENCRYPT,
        directory_ca=options.certbot_directory_ca_file,
    )
    http01 = _http01(reactor, options.certbot_http_port, hostname)
    suites = options.tls_cipher_suites
    try:
        return secure_with_acme(reactor, bot, http01, options.authority_cert_file, suites)
    except ValueError as error:
        raise CertificateError(str(error)) from error


def _http01(reactor: IReactorCore, port: int, hostname: str) -> IStreamServerEndpoint | None:
    if not port:
        return None
    kind = TCP6ServerEndpoint if ":" in hostname else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, port, interface=hostname)
    return endpoint
