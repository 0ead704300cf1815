"""Certificates, suites and client names, without a network."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from kmsd.hangup import Hangup
from kmsd.systemd import notify_ready
from kmsd.tls import credentials as certs
from kmsd.tls.authorities import load_authorities
from kmsd.tls.context import TLS12_SUITES, TLS13_SUITES, narrow_suites, server_context
from kmsd.tls.credentials import CertificateError, Credentials, load_pem, load_pkcs12
from kmsd.tls.endpoints import parse, server_endpoint
from kmsd.tls.peer import client_common_name, client_name
from kmsd.tls.reload import REFRESH_SECONDS, CertificateFiles, FileCertificateService
from kmsd.tls.server import ServerTLS
from tests import pki

ROOT = pki.authority("root")
MIDDLE = pki.authority("middle", ROOT)
LOWER = pki.authority("lower", MIDDLE)
LEAF = pki.issue(LOWER, "kms.test")


def now() -> int:
    """Return the time, in seconds: asked when it is needed, as a long run outlives certificates."""
    return int(dt.datetime.now(dt.UTC).timestamp())


OLD_WAY = (
    PrivateFormat.PKCS12.encryption_builder()
    .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    .hmac_hash(hashes.SHA1())  # noqa: S303 - what old programs write
    .build(b"secret word")
)


def test_chain_is_sorted_and_lacks_the_root(tmp_path: Path) -> None:
    """Whatever the order in the file, the chain runs from the leaf's issuer upwards."""
    file = tmp_path / "server.p12"
    others = (ROOT, MIDDLE, LOWER)
    for order in itertools.permutations(each.certificate for each in others):
        file.write_bytes(LEAF.p12(*order))
        loaded = load_pkcs12(file, None)
        assert loaded.leaf == LEAF.certificate
        assert loaded.chain == (LOWER.certificate, MIDDLE.certificate)
        assert not list(loaded.warnings(now()))


@pytest.mark.parametrize("kind", sorted(pki.KEYS))
@pytest.mark.parametrize("encryption", [BestAvailableEncryption(b"secret word"), OLD_WAY])
def test_every_key_and_encoding_loads_and_serves(
    tmp_path: Path, kind: str, encryption: Any
) -> None:
    """RSA, EC and Ed25519 keys load from AES and 3DES files and OpenSSL takes them."""
    identity = pki.issue(LOWER, "kms.test", kind=kind)
    file = tmp_path / "server.p12"
    file.write_bytes(identity.p12(LOWER.certificate, encryption=encryption))
    loaded = load_pkcs12(file, "secret word")
    assert loaded.leaf == identity.certificate
    server_context(loaded)


@pytest.mark.parametrize("password", [None, ""])
@pytest.mark.parametrize("written", ["pass:", None])
def test_no_password_is_found_either_way(
    tmp_path: Path, password: str | None, written: str | None
) -> None:
    """A file with an empty password, and one with none, opens without one."""
    file = tmp_path / "server.p12"
    if written is None:
        file.write_bytes(LEAF.p12(encryption=NoEncryption()))
    else:
        certificate, key = LEAF.write(tmp_path, "leaf")
        files = ["-in", str(certificate), "-inkey", str(key), "-out", str(file)]
        subprocess.run(["openssl", "pkcs12", "-export", *files, "-passout", written], check=True)
    assert load_pkcs12(file, password).leaf == LEAF.certificate


def _without_key() -> bytes:
    return pkcs12.serialize_key_and_certificates(None, None, LEAF.certificate, None, NoEncryption())


def _foreign_certificate() -> bytes:
    return pkcs12.serialize_key_and_certificates(
        None, LEAF.key, None, [ROOT.certificate], NoEncryption()
    )


def _unusable_key() -> bytes:
    key = dsa.generate_private_key(2048)
    return pkcs12.serialize_key_and_certificates(
        None, key, None, [ROOT.certificate], NoEncryption()
    )


@pytest.mark.parametrize(
    ("content", "password", "told"),
    [
        (lambda: LEAF.p12(encryption=OLD_WAY), "wrong", "wrong password"),
        (lambda: LEAF.p12(encryption=OLD_WAY), None, "wrong password"),
        (lambda: LEAF.p12()[:-40], None, "not a readable PKCS#12 file"),
        (lambda: b"", None, "not a readable PKCS#12 file"),
        (lambda: LEAF.pem, None, "is PEM, not PKCS#12"),
        (_without_key, None, "holds no private key"),
        (_foreign_certificate, None, "no certificate belongs to the private key"),
        (_unusable_key, None, "a key of this kind cannot serve TLS"),
        (lambda: b"x" * (certs.LARGEST_FILE_BYTES + 1), None, "too large"),
    ],
)
def test_a_bad_file_is_told_apart(
    tmp_path: Path, content: Any, password: str | None, told: str
) -> None:
    """Each fault has its own message, which names the file and never the password."""
    file = tmp_path / "server.p12"
    file.write_bytes(content())
    with pytest.raises(CertificateError, match=told) as caught:
        load_pkcs12(file, password)
    assert str(file) in str(caught.value)
    assert "wrong word" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The system's reason is given with the path."""
    with pytest.raises(CertificateError, match=r"absent\.p12: No such file"):
        load_pkcs12(tmp_path / "absent.p12", None)


def test_pem_files_in_any_arrangement(tmp_path: Path) -> None:
    """Key and chain may be in the certificate's file or in their own, encrypted or not."""
    chain = LOWER.pem + MIDDLE.pem
    certificate, key = LEAF.write(tmp_path, "leaf")
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "all.pem").write_bytes(LEAF.key_pem() + chain + LEAF.pem)
    (tmp_path / "locked.key").write_bytes(LEAF.key_pem(BestAvailableEncryption(b"word")))
    expected = (LOWER.certificate, MIDDLE.certificate)
    both = tmp_path / "all.pem"
    assert load_pem(certificate, key, tmp_path / "chain.pem").chain == expected
    assert load_pem(both, both).chain == expected
    assert load_pem(both, tmp_path / "locked.key", password="word").chain == expected
    assert load_pem(both, key, password="not needed").chain == expected
    with pytest.raises(CertificateError, match="needs a password"):
        load_pem(both, tmp_path / "locked.key")
    with pytest.raises(CertificateError, match="wrong password or damaged"):
        load_pem(both, tmp_path / "locked.key", password="other")
    with pytest.raises(CertificateError, match="no PEM private key"):
        load_pem(both, certificate)
    with pytest.raises(CertificateError, match="no readable PEM certificate"):
        load_pem(key, key)


def test_the_newest_certificate_of_a_key_serves(tmp_path: Path) -> None:
    """A renewed certificate with the same key wins over the old one in the same file."""
    newer = pki.issue(LOWER, "kms.test", key=LEAF.key, end=dt.timedelta(days=9))
    file = tmp_path / "both.pem"
    file.write_bytes(LEAF.pem + newer.pem + LEAF.key_pem())
    assert load_pem(file, file).leaf == newer.certificate


def test_cross_signed_issuer_is_preferred_to_a_root(tmp_path: Path) -> None:
    """Where an issuer is there self-signed and cross-signed, the cross-signed one is sent."""
    crossed = pki.issue(ROOT, "own", usages=(), names=(), is_authority=True)
    own = pki.issue(None, "own", usages=(), names=(), is_authority=True, key=crossed.key)
    leaf = pki.issue(own, "kms.test")
    file = tmp_path / "server.p12"
    file.write_bytes(leaf.p12(own.certificate, crossed.certificate))
    assert load_pkcs12(file, None).chain == (crossed.certificate,)


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        (LEAF, "lack the intermediate"),
        (pki.issue(None, "kms.test", usages=(pki.CLIENT,)), "server authentication"),
        (pki.issue(None, "kms.test", end=dt.timedelta(minutes=-1)), "is valid from"),
        (pki.issue(None, "kms.test", start=dt.timedelta(hours=9)), "is valid from"),
        (pki.issue(None, "kms.test"), None),
    ],
)
def test_what_clients_may_refuse_is_warned_of(identity: pki.Identity, told: str | None) -> None:
    """A missing intermediate, a wrong purpose and a wrong time are named, and only those."""
    loaded = certs.assemble(Path("x"), identity.key, [identity.certificate])
    warnings = list(loaded.warnings(now()))
    assert len(warnings) == (0 if told is None else 1)
    assert told is None or told in warnings[0]


def test_credentials_do_not_print_the_key() -> None:
    """The private key is left out of the representation."""
    loaded = certs.assemble(Path("x"), LEAF.key, [LEAF.certificate])
    assert "key" not in repr(loaded).split("leaf", maxsplit=1)[0]
    files = CertificateFiles(pkcs12=Path("x"), password="secret word")
    assert "secret word" not in repr(files)


def test_weak_keys_are_refused_at_once() -> None:
    """OpenSSL's own limits show when the context is made, as one clear error."""
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - on purpose
    identity = pki.issue(None, "kms.test", key=weak)
    loaded = certs.assemble(Path("x"), identity.key, [identity.certificate])
    with pytest.raises(CertificateError, match=r"OpenSSL refuses .*key too small"):
        server_context(loaded)


def test_suites_can_be_narrowed_but_not_widened() -> None:
    """A list of suites keeps those only; anything without authenticated encryption is an error."""
    assert narrow_suites(()) == (list(TLS13_SUITES), list(TLS12_SUITES.values()))
    assert narrow_suites(["TLS_AES_128_GCM_SHA256"]) == (["TLS_AES_128_GCM_SHA256"], [])
    for name in ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        assert narrow_suites([name]) == ([], ["ECDHE-RSA-AES128-GCM-SHA256"])
    with pytest.raises(CertificateError, match="ECDHE-RSA-AES128-SHA256"):
        narrow_suites(["ECDHE-RSA-AES128-SHA256", "TLS_AES_128_GCM_SHA256"])


def test_authorities_must_be_authorities(tmp_path: Path) -> None:
    """A leaf, an unreadable list and a file without certificates are refused as authorities."""
    file = tmp_path / "ca.pem"
    file.write_bytes(ROOT.pem + MIDDLE.pem + pki.revocation_list(ROOT, MIDDLE))
    loaded = load_authorities(file)
    assert loaded.certificates == (ROOT.certificate, MIDDLE.certificate)
    assert len(loaded.revocation_lists) == 1
    broken = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    for content, told in [
        (ROOT.pem + LEAF.pem, "not an authority's"),
        (ROOT.pem + broken, "unreadable revocation list"),
        (broken, "no readable PEM certificate"),
    ]:
        file.write_bytes(content)
        with pytest.raises(CertificateError, match=told):
            load_authorities(file)


def _named(*values: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, each, _validate=False) for each in values]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (_named("owner.client@acme.com"), "owner.client@acme.com"),
        (_named("Zoë Ωmega"), "Zoë Ωmega"),
        (_named(), None),
        (_named("owner", "admin"), None),
        (_named("*"), None),
        (_named(" "), None),
        (_named("owner "), None),
        (_named("owner\0admin"), None),
        (_named("owner\nadmin"), None),
        (_named("owner\u202eadmin"), None),
        (_named("owner\u2028admin"), None),
    ],
)
def test_a_client_is_named_by_one_plain_common_name(name: x509.Name, expected: str | None) -> None:
    """Exactly one printable common name names somebody; everyone's sign and odd ones do not."""
    client = pki.issue(ROOT, None, usages=(pki.CLIENT,), names=(), name=name)
    assert client_name(client.certificate).at(now()) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"usages": (pki.CLIENT,)}, "owner"),
        ({"usages": ()}, "owner"),
        ({"usages": (pki.SERVER,)}, None),
        ({"usages": (pki.CLIENT,), "end": dt.timedelta(minutes=-1)}, None),
        ({"usages": (pki.CLIENT,), "start": dt.timedelta(minutes=1)}, None),
    ],
)
def test_a_client_certificate_out_of_time_or_purpose_names_nobody(
    options: Any, expected: str | None
) -> None:
    """Time and purpose are looked at again, since a connection may outlive a certificate."""
    client = pki.issue(ROOT, "owner", names=(), **options)
    assert client_name(client.certificate).at(now()) == expected


@pytest.fixture
def p12(tmp_path: Path) -> Path:
    file = tmp_path / "odd:name=x\\y.p12"
    file.write_bytes(LEAF.p12(LOWER.certificate, encryption=OLD_WAY))
    return file


def test_endpoint_string_reaches_the_inner_endpoint(p12: Path, tmp_path: Path) -> None:
    """Escapes, positional and named arguments of the inner endpoint survive."""
    word = tmp_path / "word"
    word.write_text("secret word\n")
    quoted = "".join("\\" + each if each in "\\:=" else each for each in str(p12))
    text = f"kmsd-p12:{quoted}:tcp:0:interface=\\:\\:1:passwordFile={word}"
    endpoint = server_endpoint(reactor, text)
    inner = endpoint._endpoint._endpoint  # type: ignore[attr-defined]
    assert (inner._port, inner._interface) == (0, "::1")


def test_endpoint_string_takes_the_password_from_the_environment(
    p12: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KMS_HTTPS_P12_PASSWORD serves when no file is named; without it the file does not open."""
    monkeypatch.setenv("KMS_HTTPS_P12_PASSWORD", "secret word")
    assert parse(reactor, str(p12), "tcp", "0")
    monkeypatch.delenv("KMS_HTTPS_P12_PASSWORD")
    with pytest.raises(CertificateError, match="wrong password"):
        parse(reactor, str(p12), "tcp", "0")


def test_endpoint_string_errors_are_clear(p12: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing inner endpoint and a socket that systemd has not handed over are named."""
    monkeypatch.setenv("KMS_HTTPS_P12_PASSWORD", "secret word")
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(ValueError, match="name the endpoint after the file"):
        parse(reactor, str(p12))
    with pytest.raises(ValueError, match="handed over no socket"):
        parse(reactor, str(p12), "systemd", domain="INET", index="0")


def test_plugin_loads_nothing_heavy() -> None:
    """Looking for endpoint strings loads no TLS of ours and none of txacme beyond its plugin."""
    code = (
        "import sys; from twisted.internet import endpoints; from twisted.plugin import getPlugins;"
        "from twisted.internet.interfaces import IStreamServerEndpointStringParser as I;"
        "assert 'kmsd-p12' in [p.prefix for p in getPlugins(I)];"
        "print([m for m in sys.modules if m.startswith(('kmsd.tls', 'acme', 'txacme.service'))])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_serving_from_files_imports_no_acme() -> None:
    """A server with certificate files never imports txacme or its old dependencies."""
    code = (
        "import sys, kmsd.tls.reload, kmsd.tls.endpoints, kmsd.tls.server;"
        "print([m for m in sys.modules if m.split('.')[0] in {'txacme', 'acme', 'josepy'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@implementer(ILogObserver)
class _Log:
    """The log events of a while."""

    def __init__(self) -> None:
        self.formats: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        self.formats.append(event["log_format"])


@pytest.fixture
def log() -> Iterator[_Log]:
    """Collect what is logged during a test."""
    observer = _Log()
    globalLogPublisher.addObserver(observer)
    yield observer
    globalLogPublisher.removeObserver(observer)


@implementer(IReactorFromThreads)
class _Clock(task.Clock):
    """Time under the test's control; calls from signal handlers are made at once."""

    def callFromThread(  # type: ignore[override]  # noqa: N802
        self, call: Callable[[], object]
    ) -> None:
        call()


class _Reloading:
    """A CertificateService on a file in `folder`."""

    def __init__(self, folder: Path, identity: pki.Identity) -> None:
        self.file = folder / "server.p12"
        self.file.write_bytes(identity.p12())
        files = CertificateFiles(pkcs12=self.file)
        self.tls = ServerTLS(files.load())
        self.clock = _Clock()
        self.service = FileCertificateService(self.clock, self.tls, files, hangup=Hangup())

    @property
    def serving(self) -> x509.Certificate:
        assert self.tls.credentials is not None
        return self.tls.credentials.leaf


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_reload_takes_a_good_file_and_keeps_the_old_for_a_bad_one(
    tmp_path: Path, log: _Log
) -> None:
    """New certificates serve at once; junk, a wrong key and an expired one change nothing."""
    one, two = pki.issue(None, "one"), pki.issue(None, "two", kind="rsa")
    late = pki.issue(None, "late", end=dt.timedelta(minutes=-1))
    state = _Reloading(tmp_path, one)
    for content, expected, told in [
        (two.p12(), two, "serving the certificate of"),
        (b"junk", two, "certificate not changed"),
        (late.p12(), two, "certificate not changed"),
        (two.p12(), two, "serving the certificate of"),
        (one.p12(), one, "serving the certificate of"),
    ]:
        log.formats.clear()
        state.file.write_bytes(content)
        await state.service.reload()
        assert state.serving == expected.certificate
        assert told in log.formats[0]


def test_session_keys_change_daily(tmp_path: Path) -> None:
    """Each day brings a new context, and with it new ticket keys, for the same certificate."""
    state = _Reloading(tmp_path, LEAF)
    before = signal.getsignal(signal.SIGHUP)
    state.service.startService()
    contexts = [state.tls._context]
    for _ in range(3):
        state.clock.advance(REFRESH_SECONDS)
        contexts.append(state.tls._context)
    state.service.stopService()
    assert len(set(map(id, contexts))) == 4
    assert signal.getsignal(signal.SIGHUP) is before


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_sighup_runs_every_action_and_survives_a_failing_one() -> None:
    """A real SIGHUP runs the actions in order; the signal is given back with the last of them."""
    before = signal.getsignal(signal.SIGHUP)
    hangup = Hangup()
    ran: list[str] = []
    done: Deferred[None] = Deferred()

    async def fails() -> None:
        ran.append("fails")
        raise RuntimeError("on purpose")

    async def works() -> None:
        ran.append("works")
        IReactorTime(reactor).callLater(0, done.callback, None)

    hangup.add(IReactorFromThreads(reactor), fails)
    hangup.add(IReactorFromThreads(reactor), works)
    os.kill(os.getpid(), signal.SIGHUP)
    await done
    hangup.remove(fails)
    hangup.remove(works)
    assert ran == ["fails", "works"]
    assert signal.getsignal(signal.SIGHUP) is before


def test_swap_refuses_what_openssl_refuses() -> None:
    """A pair that OpenSSL refuses raises, and the former certificate goes on serving."""
    good = certs.assemble(Path("x"), LEAF.key, [LEAF.certificate])
    tls = ServerTLS(good)
    before = tls._context
    with pytest.raises(CertificateError):
        tls.swap(Credentials(key=ROOT.key, leaf=LEAF.certificate), None)
    assert tls._context is before
    assert tls.credentials is good


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_common_name_has_a_limit() -> None:
    """255 characters are a name, 256 are not."""
    for length, expected in [(255, "x" * 255), (256, None)]:
        name = _named("x" * length)
        client = pki.issue(None, None, usages=(), names=(), name=name)
        assert client_name(client.certificate).at(now()) == expected


class Transport:
    """The server's end of a connection, as a protocol sees it."""

    def __init__(self, certificate: x509.Certificate | None) -> None:
        self.certificate = None if certificate is None else X509.from_cryptography(certificate)
        self.looked = 0

    def getPeerCertificate(self) -> X509 | None:  # noqa: N802
        self.looked += 1
        return self.certificate


def test_a_connection_is_read_once_and_its_time_each_time() -> None:
    """The certificate is parsed for the first request only; the clock counts for every one."""
    owner = pki.issue(ROOT, "owner", usages=(pki.CLIENT,))
    transport: Any = Transport(owner.certificate)
    day = 24 * 3600
    asked = [client_common_name(transport, now() + each * day) for each in (0, 1, 3, -1, 0)]
    assert asked == ["owner", "owner", None, None, "owner"]
    assert transport.looked == 1


def test_a_connection_without_certificate_names_nobody() -> None:
    """No certificate yet, none at all, and no TLS at all: nobody, and asked anew each time."""
    transport: Any = Transport(None)
    assert client_common_name(transport, now()) is None
    transport.certificate = X509.from_cryptography(
        pki.issue(ROOT, "owner", usages=(pki.CLIENT,)).certificate
    )
    assert client_common_name(transport, now()) == "owner"
    assert client_common_name(StringTransport(), now()) is None


def test_a_certificate_that_cannot_be_parsed_names_nobody() -> None:
    """Two extensions of one kind, which pyca refuses, make no name and no exception."""
    good = pki.issue(ROOT, "owner", usages=(pki.CLIENT,)).certificate
    der = good.public_bytes(Encoding.DER)
    # The key identifier's number turned into that of the constraints: the extension is there twice.
    twice = der.replace(bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d13"))
    assert twice != der
    assert client_name(x509.load_der_x509_certificate(twice)).at(now()) is None


def test_a_version_1_root_may_be_an_authority(tmp_path: Path) -> None:
    """A root from before extensions is trusted when it signed itself, as OpenSSL does."""
    new = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    sign = ["openssl", "x509", "-req", "-in", "r.csr", "-signkey", "k.pem", "-out", "v1.pem"]
    subject = ["-nodes", "-subj", "/CN=old root", "-keyout", "k.pem", "-out", "r.csr"]
    for command in ([*new, *subject], sign):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert len(load_authorities(tmp_path / "v1.pem").certificates) == 1


def test_a_signal_during_a_reload_is_not_lost() -> None:
    """Signals that come while actions run are answered by one more run."""
    hangup, runs = Hangup(), list[int]()
    gate: Deferred[None] = Deferred()
    after: list[Deferred[None]] = [gate]

    async def slow() -> None:
        runs.append(len(runs))
        if after:
            await after.pop()

    hangup.add(_Clock(), slow)
    try:
        for _ in range(3):
            hangup.trigger()
        assert runs == [0]
        gate.callback(None)
        assert runs == [0, 1]
    finally:
        hangup.remove(slow)


def test_a_silent_service_manager_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No manager, a socket that is gone and a name that is none are all survived."""
    for name, expected in [("", False), ("relative", False), (str(tmp_path / "gone"), False)]:
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify_ready() is expected
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0kmsd-test")
        monkeypatch.setenv("NOTIFY_SOCKET", "@kmsd-test")
        assert notify_ready("listening")
        assert manager.recv(100) == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=listening".encode()


def test_a_password_file_is_text(tmp_path: Path) -> None:
    """The line end is not part of a password, blanks are; bytes that are no text are refused."""
    file = tmp_path / "word"
    file.write_bytes("pässword \r\n".encode())
    assert certs.read_password(file) == "pässword "
    file.write_bytes(b"\xff")
    with pytest.raises(CertificateError, match="not UTF-8"):
        certs.read_password(file)
