"""Which TLS a set of options gives, and what is said of one that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

from kmsd.tls.choice import TLSOptions, secured
from kmsd.tls.credentials import CertificateError
from kmsd.tls.endpoints import speaks_tls
from kmsd.tls.listening import AcmeCertificateService
from kmsd.tls.reload import FileCertificateService
from tests import pki

ROOT = pki.authority("root")
LEAF = pki.issue(ROOT, "kms.test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with every file that an option can name."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    (tmp_path / "s.p12").write_bytes(LEAF.p12(encryption=BestAvailableEncryption(b"myPass")))
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    LEAF.write(tmp_path, "leaf")
    return tmp_path


def options(folder: Path, **given: Any) -> TLSOptions:
    paths = {name: folder / value for name, value in given.items() if name.endswith("_file")}
    return TLSOptions(**{"certbot_ssl_path": folder / "ssl", **given, **paths})


P12 = {"https_p12_file": "s.p12", "https_p12_password": "myPass"}
PEM = {"tls_cert_file": "leaf.crt", "tls_key_file": "leaf.key"}
ACME = {"use_certbot": True, "certbot_hostname": "kms.test", "certbot_email": "a@b.test"}


@pytest.mark.parametrize(
    ("given", "service"),
    [
        (P12, FileCertificateService),
        (PEM, FileCertificateService),
        (PEM | P12, FileCertificateService),
        (ACME, AcmeCertificateService),
        (ACME | P12, AcmeCertificateService),
    ],
)
def test_the_options_choose(folder: Path, given: dict[str, Any], service: type) -> None:
    """ACME goes before PKCS#12, and that before PEM."""
    secure = secured(reactor, options(folder, **given, authority_cert_file="ca.pem"))
    assert secure is not None
    assert type(secure.service) is service
    assert secure.tls.wants_client_certificate
    assert (secure.tls.credentials is None) == (service is AcmeCertificateService)
    assert "myPass" not in repr(options(folder, **given))


def test_no_option_is_no_tls(folder: Path) -> None:
    """Without any of them the port is plain."""
    assert secured(reactor, options(folder)) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (ACME | {"certbot_hostname": ""}, "--certbot-hostname"),
        (ACME | {"certbot_email": ""}, "--certbot-email"),
        (ACME | {"certbot_hostname": "a/b"}, "not a host name"),
        (ACME | {"certbot_directory_ca_file": "leaf.key"}, "no readable PEM certificate"),
        ({"https_p12_password": "myPass"}, "without --https-p12-file"),
        ({"https_p12_file": "s.p12"}, "wrong password"),
        ({"tls_key_file": "leaf.key"}, "need --tls-cert-file"),
        ({"authority_cert_file": "ca.pem"}, "needs HTTPS"),
        (P12 | {"authority_cert_file": "leaf.crt"}, "not an authority's"),
        (P12 | {"tls_cipher_suites": ("AES128-SHA",)}, "cipher suite not offered: AES128-SHA"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(folder: Path, given: dict[str, Any], told: str) -> None:
    """Each contradiction names the option or the file, never the password."""
    with pytest.raises(CertificateError) as caught:
        secured(reactor, options(folder, **given))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "myPass" not in str(caught.value)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("tcp:9998", False),
        ("systemd:domain=INET:index=0", False),
        ("kmsd-p12:s.p12:tcp:9998", True),
        ("ssl:9998:privateKey=x", True),
    ],
)
def test_endpoints_with_their_own_tls_are_known(description: str, expected: bool) -> None:  # noqa: FBT001
    """No TLS is laid over an endpoint string that brings its own."""
    assert speaks_tls(description) is expected
