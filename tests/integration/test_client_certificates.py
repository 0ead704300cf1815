"""Callers who are known by their TLS client certificate, alone and beside tokens."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests import pki
from tests.asking import ask, create, owned, trusting
from tests.conftest import Kmsd, StartKmsd, launch
from tests.issuer import Issuer, issuer

ROOT = pki.authority("root")
CLIENTS = pki.authority("clients")
EMAIL = "ann@example.com"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("certificates")
    (made / "server.p12").write_bytes(pki.issue(ROOT, "localhost").p12())
    revoked = shown(made, "revoked", "revoked@example.com")[2]
    crl = pki.revocation_list(CLIENTS, revoked)
    (made / "clients.pem").write_bytes(CLIENTS.pem + crl)
    (made / "ca.pem").write_bytes(ROOT.pem)
    return made


def shown(
    folder: Path,
    file: str,
    common_name: str | None,
    issuer: pki.Identity | None = CLIENTS,
    **more: Any,
) -> tuple[Path, Path, pki.Identity]:
    """Make a client's certificate; return its two files and itself."""
    options: dict[str, Any] = {"usages": (pki.CLIENT,), "names": ()} | more
    made = pki.issue(issuer, common_name, **options)
    return (*made.write(folder, file), made)


TLS = ("--https-p12-file=server.p12", "--https-p12-password=")
MUTUAL = (*TLS, "--clients-ca-cert-file=clients.pem")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Kmsd]:
    """A server that knows callers by certificate alone."""
    made = launch(folder, *MUTUAL)
    yield made
    made.stop()


def client(folder: Path, file: str, common_name: str | None, **more: Any) -> ssl.SSLContext:
    return trusting(ROOT, shown(folder, file, common_name, **more)[:2])


def test_the_common_name_is_the_user(server: Kmsd, folder: Path) -> None:
    """Owned by that name; another certificate of the name is the same user, another name is not."""
    ann = client(folder, "ann", EMAIL)
    made = create(server, tls=ann)
    assert made in owned(server, tls=client(folder, "ann2", EMAIL))
    assert made not in owned(server, tls=client(folder, "bob", "bob"))


def two_names() -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in ("ann", "bob")]
    return x509.Name(attributes)


@pytest.mark.filterwarnings("ignore:Attribute's length must be")
@pytest.mark.parametrize(
    ("name", "more"),
    [
        (None, {}),
        ("", {}),
        ("*", {}),
        (" ann", {}),
        ("ann\0bob", {}),
        ("ann\nbob", {}),
        ("ann\u202ebob", {}),
        ("a" * 256, {}),
        ("ann", {"name": two_names()}),
    ],
    ids=["none", "empty", "everybody", "blank", "NUL", "line end", "rtl", "long", "two"],
)
def test_a_certificate_that_names_nobody_is_refused(
    server: Kmsd, folder: Path, name: str | None, more: dict[str, Any]
) -> None:
    """The handshake is good; the name is nobody's: 401."""
    assert ask(server, tls=client(folder, "nobody", name, **more)) == (401, b"")


@pytest.mark.parametrize(
    "more",
    [
        {"issuer": pki.authority("clients")},
        {"issuer": None},
        {"issuer": ROOT},
        {"end": dt.timedelta(minutes=-1)},
        {"start": dt.timedelta(days=1)},
        {"usages": (pki.SERVER,)},
        {"usages": (ExtendedKeyUsageOID.CODE_SIGNING,)},
    ],
    ids=["impostor", "self-signed", "server's root", "expired", "future", "server", "code"],
)
def test_a_wrong_certificate_is_refused_in_the_handshake(
    server: Kmsd, folder: Path, more: dict[str, Any]
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(server, tls=client(folder, "wrong", EMAIL, **more))


def test_a_revoked_certificate_is_refused(server: Kmsd, folder: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(server, tls=trusting(ROOT, (folder / "revoked.crt", folder / "revoked.key")))


def test_without_a_certificate_there_is_no_connection(server: Kmsd) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(server, tls=trusting(ROOT))


@pytest.mark.parametrize("header", ["X-SSL-Client-CN", "X-Forwarded-User", "X-Client-Cert"])
def test_what_a_proxy_would_say_is_not_believed(server: Kmsd, folder: Path, header: str) -> None:
    ann, bob = client(folder, "ann", EMAIL), client(folder, "bob", "bob")
    made = create(server, tls=ann)
    assert made not in owned(server, tls=bob, headers={header: EMAIL})


def test_a_bearer_token_changes_nothing_where_none_is_asked_for(server: Kmsd, folder: Path) -> None:
    """Clients up to 4.3.4 always send the header."""
    ann = client(folder, "ann", EMAIL)
    made = create(server, tls=ann)
    assert made in owned(server, tls=ann, headers={"Authorization": "Bearer "})
    assert made in owned(server, "anything", tls=ann)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_has_the_same_user(
    server: Kmsd, folder: Path, version: ssl.TLSVersion
) -> None:
    """The certificate is not sent again, and who it named is still who calls."""
    context = client(folder, "resumed", "resumed@example.com")
    context.minimum_version = context.maximum_version = version
    made = create(server, tls=context)
    body, session, _ = speak(server, context, None)
    assert made in body
    again, _, reused = speak(server, context, session)
    assert reused
    assert made in again


def speak(
    server: Kmsd, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[str, ssl.SSLSession | None, bool | None]:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost", session=session) as wrapped,
    ):
        wrapped.sendall(b"GET /access/owned HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: wrapped.recv(4096), b"")).decode()
        assert answer.startswith("HTTP/1.1 200")
        return answer, wrapped.session, wrapped.session_reused


# Beside tokens


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Issuer]:
    with issuer(tmp_path, ROOT) as made:
        yield made


def both(start_kmsd: StartKmsd, folder: Path, provider: Issuer, *more: str) -> Kmsd:
    options = (
        f"--https-p12-file={folder / 'server.p12'}",
        "--https-p12-password=",
        f"--authority-cert-file={folder / 'clients.pem'}",
        f"--jwt-issuer-uri={provider.name}",
        f"--jwks-uri={provider.jwks_uri}",
        f"--jwks-ca-file={folder / 'ca.pem'}",
    )
    return start_kmsd(*options, *more)


def test_a_token_comes_before_the_certificate(
    start_kmsd: StartKmsd, folder: Path, provider: Issuer
) -> None:
    """With both, the token says who it is; a bad token is not made good by the certificate."""
    server = both(start_kmsd, folder, provider)
    tls = client(folder, "machine", "machine")
    made = create(server, provider.token(), tls=tls)
    assert made in owned(server, provider.token(), tls=client(folder, "other", "other"))
    assert made not in owned(server, tls=tls)
    assert ask(server, token=provider.token(exp=1), tls=tls) == (401, b"")


def test_a_certificate_is_never_taken_for_the_user_of_a_token(
    start_kmsd: StartKmsd, folder: Path, provider: Issuer
) -> None:
    """Neither sees what the other owns, though both say the same name; the log tells the rule."""
    server = both(start_kmsd, folder, provider)
    tls = client(folder, "namesake", EMAIL)
    by_token = create(server, provider.token(email=EMAIL), tls=tls)
    by_certificate = create(server, tls=tls)
    assert owned(server, tls=tls) == {by_certificate}
    assert owned(server, provider.token(email=EMAIL), tls=tls) == {by_token}
    assert "is the user cn:NAME@HOST" in server.output()
    grant = {"unique_identifier": by_token, "user_id": f"cn:{EMAIL}", "operation_types": ["get"]}
    assert (
        ask(server, "/access/grant", provider.token(email=EMAIL), "POST", grant, tls=tls)[0] == 200
    )
    assert by_token in ask(server, "/access/obtained", tls=tls)[1].decode()


def test_the_operator_can_say_that_both_are_one(
    start_kmsd: StartKmsd, folder: Path, provider: Issuer
) -> None:
    server = both(start_kmsd, folder, provider, "--shared-user-names")
    tls = client(folder, "namesake", EMAIL)
    made = create(server, provider.token(email=EMAIL), tls=tls)
    assert owned(server, tls=tls) == {made}


def test_an_endpoint_with_authorities_of_its_own_asks_for_certificates(
    start_kmsd: StartKmsd, folder: Path
) -> None:
    """`kmsd-p12:…:clientCA=` makes the common name the user, as the option does."""
    endpoint = (
        f"kmsd-p12:{folder / 'server.p12'}:tcp:0:interface=127.0.0.1"
        f":clientCA={folder / 'clients.pem'}"
    )
    server = start_kmsd(f"--endpoint={endpoint}")
    made = create(server, tls=client(folder, "ann", EMAIL))
    assert made not in owned(server, tls=client(folder, "bob", "bob"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(server, tls=trusting(ROOT))
