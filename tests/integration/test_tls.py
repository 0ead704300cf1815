"""TLS as openssl, curl and Python's own clients meet it."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from kmsd.tls import server as tls_server
from kmsd.tls.listening import Secure, secure_with_files
from kmsd.tls.peer import client_common_name
from kmsd.tls.reload import CertificateFiles
from tests import pki

ROOT = pki.authority("root")
MIDDLE = pki.authority("middle", ROOT)


class WhoAmI(Resource):
    """Answers with the client's common name, and whether Nagle's delay is off."""

    isLeaf = True  # noqa: N815

    def render_GET(self, request: Request) -> bytes:  # noqa: N802
        transport: Any = request.transport
        name = client_common_name(transport, int(time.time()))
        return f"{name} nodelay={transport.getTcpNoDelay()}".encode()


@asynccontextmanager
async def serving(
    folder: Path,
    identity: pki.Identity | None = None,
    authorities: bytes | None = None,
    suites: tuple[str, ...] = (),
) -> AsyncIterator[tuple[int, Secure]]:
    """Listen on a port of this process."""
    one = identity or pki.issue(MIDDLE, "localhost")
    (folder / "server.p12").write_bytes(one.p12(MIDDLE.certificate))
    if authorities is not None:
        (folder / "clients.pem").write_bytes(authorities)
    files = CertificateFiles(
        pkcs12=folder / "server.p12",
        authorities=None if authorities is None else folder / "clients.pem",
    )
    secure = secure_with_files(reactor, files, suites)
    secure.service.startService()
    inner = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = await secure.endpoint(inner).listen(
        Site(WhoAmI())  # type: ignore[no-untyped-call]
    )
    try:
        yield port.getHost().port, secure
    finally:
        await port.stopListening()
        await secure.service.stopService()


def client(
    *,
    shown: tuple[Path, Path] | None = None,
    version: ssl.TLSVersion | None = None,
    alpn: list[str] | None = None,
) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    if shown is not None:
        context.load_cert_chain(*shown)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


def ask(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[str, ssl.SSLSession | None, bool | None]:
    """GET / on a connection of its own; return body, session, and whether it was a resumed one."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost", session=session) as wrapped,
    ):
        wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: wrapped.recv(4096), b""))
        body = answer.partition(b"\r\n\r\n")[2].decode()
        return body, wrapped.session, wrapped.session_reused


def openssl(port: int, *options: str, send: bytes = b"") -> tuple[int, str]:
    """Run `openssl s_client`; security level 0 lets it offer what is to be refused."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
         *options],
        input=send, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


AEAD_12 = {
    "rsa": {
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-GCM-SHA256",
    },
    "p256": {
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(AEAD_12))
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_tls_1_2_has_three_suites(tmp_path: Path, kind: str) -> None:
    """Of all suites that openssl can offer, the server takes the AEAD ones with ECDHE only."""

    def scan(port: int) -> set[str]:
        every = ["openssl", "ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
        offered = subprocess.run(every, capture_output=True, check=True).stdout.decode().split(":")
        assert len(offered) > 50
        tries = {
            suite: openssl(port, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")[0]
            for suite in offered
        }
        return {suite for suite, status in tries.items() if status == 0}

    async with serving(tmp_path, pki.issue(MIDDLE, "localhost", kind=kind)) as (port, _):
        assert await deferToThread(scan, port) == AEAD_12[kind]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_old_versions_are_refused_and_1_3_has_three_suites(tmp_path: Path) -> None:
    """TLS 1.0, 1.1 and a forced fallback are refused; TLS 1.3 has its three suites, no CCM."""

    def scan(port: int) -> dict[str, int]:
        versions = {
            each: openssl(port, each, "-cipher", "ALL:@SECLEVEL=0")[0]
            for each in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3")
        }
        suites = {
            each: openssl(port, "-tls1_3", "-ciphersuites", each)[0]
            for each in (
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_128_CCM_SHA256",
                "TLS_AES_128_CCM_8_SHA256",
            )
        }
        fallback = openssl(port, "-tls1_2", "-fallback_scsv")[0]
        return {**versions, **suites, "-fallback_scsv": fallback}

    async with serving(tmp_path) as (port, _):
        result = await deferToThread(scan, port)
    assert {name for name, status in result.items() if status == 0} == {
        "-tls1_2",
        "-tls1_3",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
    }


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_one_suite_can_be_all(tmp_path: Path) -> None:
    """A list of suites that names one of TLS 1.3 leaves no TLS 1.2."""
    async with serving(tmp_path, suites=("TLS_AES_128_GCM_SHA256",)) as (port, _):
        assert (await deferToThread(openssl, port, "-tls1_2"))[0] != 0
        status, said = await deferToThread(openssl, port, "-tls1_3")
        assert status == 0
        assert "TLS_AES_128_GCM_SHA256" in said


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_the_key_exchange_resists_quantum_computers(tmp_path: Path) -> None:
    """A client of today agrees on X25519MLKEM768, an older one on X25519."""

    def group(port: int) -> str | None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), raw)
            raw.setblocking(True)
            connection.set_connect_state()
            connection.do_handshake()
            return connection.get_group_name()

    async with serving(tmp_path) as (port, _):
        assert await deferToThread(group, port) == "X25519MLKEM768"
        _, said = await deferToThread(openssl, port, "-tls1_3", "-groups", "X25519")
        assert "Server Temp Key: X25519" in said


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_renegotiation_is_refused(tmp_path: Path) -> None:
    """A TLS 1.2 client that asks for another handshake gets none."""
    async with serving(tmp_path) as (port, _):
        _, said = await deferToThread(openssl, port, "-tls1_2", send=b"R\n")
    assert "no renegotiation" in said


@pytest.mark.parametrize("kind", ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384", "ed25519"])
@pytest.mark.parametrize("encoding", [(), ("-legacy",), ("-keypbe", "PBE-SHA1-3DES")])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_curl_accepts_what_openssl_packed(
    tmp_path: Path, kind: str, encoding: tuple[str, ...]
) -> None:
    """PKCS#12 files made by openssl, of any key and encoding, serve curl."""
    new = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    extra = ["-addext", "subjectAltName=DNS:localhost", "-newkey", *kind.split()]
    pack = ["openssl", "pkcs12", "-export", "-inkey", "k.pem", "-in", "c.pem", *encoding]
    for command in (
        [*new, *extra, "-keyout", "k.pem", "-out", "c.pem"],
        [*pack, "-passout", "pass:myPass", "-out", "s.p12"],
    ):
        await deferToThread(subprocess.run, command, cwd=tmp_path, check=True, capture_output=True)
    files = CertificateFiles(pkcs12=tmp_path / "s.p12", password="myPass")
    secure = secure_with_files(reactor, files)
    inner = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = await secure.endpoint(inner).listen(
        Site(WhoAmI())  # type: ignore[no-untyped-call]
    )
    try:
        number = port.getHost().port
        url = f"https://localhost:{number}/"
        fetch = ["curl", "-sS", "--cacert", str(tmp_path / "c.pem"), "--resolve",
                   f"localhost:{number}:127.0.0.1", url]  # fmt: skip
        done: Any = await deferToThread(subprocess.run, fetch, capture_output=True, check=False)
    finally:
        await port.stopListening()
    assert done.stdout.startswith(b"None nodelay=True"), done.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_sessions_are_resumed_with_the_identity_until_a_reload(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A resumed session still names its client; after a reload nothing of before is resumed."""
    shown = pki.issue(ROOT, "owner", usages=(pki.CLIENT,)).write(tmp_path, "owner")
    async with serving(tmp_path, authorities=ROOT.pem) as (port, secure):
        context = client(shown=shown, version=version)
        body, session, reused = await deferToThread(ask, port, context)
        assert (body, reused) == ("owner nodelay=True", False)
        body, session, reused = await deferToThread(ask, port, context, session)
        assert (body, reused) == ("owner nodelay=True", True)
        await secure.service.reload()  # type: ignore[attr-defined]
        body, _, reused = await deferToThread(ask, port, context, session)
        assert (body, reused) == ("owner nodelay=True", False)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (None, None), (["h2"], "alert")],
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_alpn_agrees_or_refuses(
    tmp_path: Path, offered: list[str] | None, expected: str | None
) -> None:
    """HTTP/1.1 is agreed on; a client of other protocols only gets the alert made for it."""

    def negotiate(port: int) -> str | None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            try:
                wrapped = client(alpn=offered).wrap_socket(raw, server_hostname="localhost")
            except ssl.SSLError as error:
                return "alert" if "no application protocol" in str(error) else str(error)
            return wrapped.selected_alpn_protocol()

    async with serving(tmp_path) as (port, _):
        assert await deferToThread(negotiate, port) == expected


OTHER_ROOT = pki.authority("root")
WRONG: dict[str, Callable[[], pki.Identity]] = {
    "another authority of the same name": lambda: pki.issue(
        OTHER_ROOT, "owner", usages=(pki.CLIENT,)
    ),
    "signed by itself": lambda: pki.issue(None, "owner", usages=(pki.CLIENT,)),
    "expired": lambda: pki.issue(ROOT, "owner", usages=(pki.CLIENT,), end=dt.timedelta(minutes=-1)),
    "not valid yet": lambda: pki.issue(
        ROOT, "owner", usages=(pki.CLIENT,), start=dt.timedelta(hours=1)
    ),
    "for servers only": lambda: pki.issue(ROOT, "owner", usages=(pki.SERVER,)),
    "signed by a client": lambda: pki.issue(
        pki.issue(ROOT, "user", usages=(pki.CLIENT,)), "owner", usages=(pki.CLIENT,)
    ),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("wrong", [*WRONG, "none"])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_wrong_client_certificate_is_refused(
    tmp_path: Path, wrong: str, version: ssl.TLSVersion
) -> None:
    """No certificate, and each wrong one, ends the connection before a request is read."""
    shown = None if wrong == "none" else WRONG[wrong]().write(tmp_path, "wrong")
    async with serving(tmp_path, authorities=ROOT.pem) as (port, _):
        # In TLS 1.3 the client has finished before the server looks: the alert meets its read.
        with pytest.raises(ssl.SSLError, match=r"alert|ALERT"):
            await deferToThread(ask, port, client(shown=shown, version=version))


@pytest.mark.parametrize("name", [None, "*", "owner\0", " "])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_an_odd_common_name_names_nobody(tmp_path: Path, name: str | None) -> None:
    """A trusted certificate without a usable common name connects, but is nobody."""
    shown = pki.issue(ROOT, name, usages=(pki.CLIENT,), names=()).write(tmp_path, "odd")
    async with serving(tmp_path, authorities=ROOT.pem) as (port, _):
        body, *_ = await deferToThread(ask, port, client(shown=shown))
    assert body == "None nodelay=True"


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_revoked_certificate_is_refused_after_a_reload(tmp_path: Path) -> None:
    """A revocation list beside the authority ends a certificate, resumed sessions included."""
    owner = pki.issue(ROOT, "owner", usages=(pki.CLIENT,))
    shown = owner.write(tmp_path, "owner")
    async with serving(tmp_path, authorities=ROOT.pem + pki.revocation_list(ROOT)) as (
        port,
        secure,
    ):
        context = client(shown=shown)
        body, before, _ = await deferToThread(ask, port, context)
        assert body == "owner nodelay=True"
        (tmp_path / "clients.pem").write_bytes(ROOT.pem + pki.revocation_list(ROOT, owner))
        await secure.service.reload()  # type: ignore[attr-defined]
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
            await deferToThread(ask, port, context, before)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_does_not_shake_hands_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence and half a ClientHello end after the deadline; a finished handshake does not."""
    monkeypatch.setattr(tls_server, "HANDSHAKE_SECONDS", 0.5)

    def silent(port: int, first: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(first)
            try:
                return raw.recv(1)
            except ConnectionResetError:
                return b""

    def patient(port: int) -> str:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
            client().wrap_socket(raw, server_hostname="localhost") as wrapped,
        ):
            time.sleep(1)
            wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return wrapped.recv(4096).decode()

    async with serving(tmp_path) as (port, _):
        assert await deferToThread(silent, port, b"") == b""
        assert await deferToThread(silent, port, b"\x16\x03\x01\x02\x00\x01") == b""
        assert "200 OK" in await deferToThread(patient, port)


@contextmanager
def twistd(folder: Path, description: str, *before: str, password: str = "") -> Iterator[Any]:
    """Run `twistd web` on an endpoint string."""
    command = [*before, sys.executable, "-m", "twisted", "web", "--listen", description]
    log = folder / "twistd.log"
    environment = {**os.environ, "KMS_HTTPS_P12_PASSWORD": password}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--path", str(folder / "www")], stdout=out, stderr=out, env=environment
        )
    process.log = log  # type: ignore[attr-defined]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def leaf(port: int) -> bytes:
    """Return the certificate that is served (DER), verified."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        client().wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Load:
    """Clients of a port, each with a connection that it keeps and new ones."""

    def __init__(self, port: int) -> None:
        self.port, self.requests, self.failures = port, 0, list[str]()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        kept = http.client.HTTPSConnection("localhost", self.port, context=client(), timeout=10)
        while not self._stopping.is_set():
            try:
                kept.request("GET", "/")
                assert kept.getresponse().read() == b"hello"
                leaf(self.port)
                self.requests += 2
            except OSError as error:
                self.failures.append(repr(error))


@pytest.mark.slow
def test_sighup_changes_the_certificate_of_any_twistd_program(tmp_path: Path) -> None:
    """Under load a new file serves, a bad one changes nothing, and no request fails."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("hello")
    one, two = (pki.issue(MIDDLE, "localhost", kind=kind) for kind in ("rsa", "p256"))
    file = tmp_path / "server.p12"
    file.write_bytes(one.p12(MIDDLE.certificate))
    port = free_port()
    steps = [(two, False), (two, True), (one, False), (two, False)] * 5
    with twistd(tmp_path, f"kmsd-p12:{file}:tcp:{port}:interface=127.0.0.1") as process:
        log: Path = process.log
        wait_for(lambda: listens(port), log)
        with Load(port) as load:
            for number, (identity, junk) in enumerate(steps, 1):
                file.write_bytes(b"junk" if junk else identity.p12(MIDDLE.certificate))
                process.send_signal(signal.SIGHUP)
                wait_for(lambda number=number: reloads(log) == number, log)  # type: ignore[misc]
                assert leaf(port) == identity.certificate.public_bytes(Encoding.DER)
    print(f"{len(steps)} reloads, {load.requests} requests, {len(load.failures)} failed")  # noqa: T201
    assert load.failures == []
    assert load.requests > 20


def reloads(log: Path) -> int:
    """Count the reloads that the log tells of; the first certificate is not one."""
    text = log.read_text()
    return text.count("serving the cert") + text.count("certificate not changed") - 1


@pytest.mark.skipif(
    not Path("/usr/bin/systemd-socket-activate").exists(), reason="needs systemd-socket-activate"
)
def test_a_systemd_socket_serves_tls(tmp_path: Path) -> None:
    """A socket handed over by the service manager serves TLS, to a client that came first too."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/index.html").write_text("hello")
    file = tmp_path / "server.p12"
    file.write_bytes(pki.issue(MIDDLE, "localhost").p12(MIDDLE.certificate))
    port = free_port()
    activate = ["/usr/bin/systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=https"]
    description = f"kmsd-p12:{file}:systemd:domain=INET:name=https"
    with twistd(tmp_path, description, *activate) as process:
        wait_for(lambda: "Listening on" in process.log.read_text(), process.log)
        assert leaf(port)
