"""Certificates from a real ACME server (Debian's pebble), on real ports of this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor, task
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from kmsd.acme.bot import BotOptions
from kmsd.tls.listening import AcmeCertificateService, Secure, secure_with_acme
from tests import pki

HOST = "kms.example.test"
CLOCK = IReactorTime(reactor)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("pebble") and shutil.which("pebble-challtestsrv")),
        reason="needs Debian's package pebble",
    ),
]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass
class Pebble:
    """A certification authority as a child process; `environment` names its moods."""

    folder: Path
    tls_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    lifetime_seconds: int = 3600
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    management_port: int = field(default_factory=free_port)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        authority = pki.authority("pebble's front")
        self.ca = self.folder / "front-ca.pem"
        self.ca.write_bytes(authority.pem)
        self.files = pki.issue(authority, "localhost").write(self.folder, "front")
        self.dns_port = free_port()
        self._start(
            "pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1",
            "-dns01", f"127.0.0.1:{self.dns_port}", "-http01", "", "-https01", "",
            "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}",
        )  # fmt: skip

    @property
    def directory_url(self) -> str:
        return f"https://localhost:{self.port}/dir"

    def start(self) -> None:
        """Run it; a second start has forgotten everything."""
        certificate, key = self.files
        config = {
            "pebble": {
                "listenAddress": f"127.0.0.1:{self.port}",
                "managementListenAddress": f"127.0.0.1:{self.management_port}",
                "certificate": str(certificate),
                "privateKey": str(key),
                "httpPort": self.http_port,
                "tlsPort": self.tls_port,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                "certificateValidityPeriod": self.lifetime_seconds,
            }
        }
        path = self.folder / "pebble.json"
        path.write_text(json.dumps(config))
        dns = f"127.0.0.1:{self.dns_port}"
        self._start("pebble", "-config", str(path), "-strict", "-dnsserver", dns)
        self._wait()

    def stop(self) -> None:
        """End the authority, not the name server."""
        for child in self.children[1:]:
            child.kill()
            child.wait()
        del self.children[1:]

    def log(self) -> str:
        """Return what it has said so far."""
        return (self.folder / "pebble.log").read_text()

    def root(self) -> str:
        """Return the root of the present run in PEM."""
        context = ssl.create_default_context(cafile=str(self.ca))
        url = f"https://localhost:{self.management_port}/roots/0"
        with urllib.request.urlopen(url, context=context) as answer:
            return str(answer.read().decode())

    def _start(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.log").open("ab")
        environment = {
            **os.environ,
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0",
            **self.environment,
        }
        self.children.append(
            subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        )

    def _wait(self) -> None:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(self.log())


class Hello(Resource):
    """`/` answers at once, `/slow` after two seconds."""

    isLeaf = True  # noqa: N815

    def render_GET(self, request: Request) -> Any:  # noqa: N802
        if request.path != b"/slow":
            return b"hello"
        CLOCK.callLater(2, self._finish, request)
        return NOT_DONE_YET

    @staticmethod
    def _finish(request: Request) -> None:
        request.write(b"slow")
        request.finish()


@dataclass
class Server:
    """A port of this process with ACME on it."""

    pebble: Pebble
    folder: Path
    http01: bool = True
    tls: bool = True
    authorities: Path | None = None
    ports: list[Any] = field(default_factory=list)
    secure: Secure | None = None

    async def start(self) -> None:
        options = BotOptions(
            server_name=HOST,
            email="admin@example.test",
            folder=self.folder,
            directory_url=self.pebble.directory_url,
            directory_ca=self.pebble.ca,
        )
        local = {"interface": "127.0.0.1"}
        http01 = (
            TCP4ServerEndpoint(reactor, self.pebble.http_port, **local) if self.http01 else None
        )
        self.secure = secure_with_acme(reactor, options, http01, self.authorities)
        self.secure.service.privilegedStartService()
        self.secure.service.startService()
        if self.tls:
            inner = TCP4ServerEndpoint(reactor, self.pebble.tls_port, **local)
            self.ports.append(
                await self.secure.endpoint(inner).listen(
                    Site(Hello())  # type: ignore[no-untyped-call]
                )
            )

    @property
    def bot(self) -> Any:
        assert self.secure is not None
        assert isinstance(self.secure.service, AcmeCertificateService)
        return self.secure.service.bot

    @property
    def serial(self) -> int | None:
        assert self.secure is not None
        credentials = self.secure.tls.credentials
        return None if credentials is None else credentials.leaf.serial_number

    async def stop(self) -> None:
        assert self.secure is not None
        for port in self.ports:
            await port.stopListening()
        await self.secure.service.stopService()

    async def certified(self, before: int | None = None, seconds: float = 60) -> None:
        """Wait for a certificate other than `before`."""
        deadline = time.monotonic() + seconds
        while self.serial in {None, before}:
            assert time.monotonic() < deadline, "no certificate came in time"
            await task.deferLater(CLOCK, 0.05)


@pytest.fixture
def pebble(tmp_path: Path) -> Iterator[Pebble]:
    """Give a certification authority that is not running yet, and end it after the test."""
    folder = tmp_path / "pebble"
    folder.mkdir()
    ca = Pebble(folder)
    yield ca
    for child in ca.children:
        child.kill()
        child.wait()


def get(port: int, root: str, path: str = "/", shown: tuple[str, str] | None = None) -> bytes:
    """Make a connection of its own, verify the certificate against `root`, and GET `path`."""
    context = ssl.create_default_context(cadata=root)
    if shown is not None:
        context.load_cert_chain(*shown)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname=HOST) as wrapped,
    ):
        wrapped.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: wrapped.recv(4096), b""))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("server_options", "used"),
    [({}, "tls-alpn-01"), ({"tls": False}, "http-01"), ({"http01": False}, "tls-alpn-01")],
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_certificate_is_issued_over_either_challenge(
    pebble: Pebble, tmp_path: Path, server_options: Any, used: str
) -> None:
    """TLS-ALPN-01 comes first and HTTP-01 when it fails; keys lie on disk for the owner only."""
    pebble.start()
    server = Server(pebble, tmp_path / "ssl", **server_options)
    await server.start()
    try:
        await server.certified()
        if server.tls:
            root = await deferToThread(pebble.root)
            answer = await deferToThread(get, pebble.tls_port, root)
            assert answer.endswith(b"hello")
    finally:
        await server.stop()
    assert ("validate w/ HTTP" in pebble.log()) == (used == "http-01")
    assert mode(server.folder) == 0o700
    names = {each.name for each in server.folder.iterdir()}
    assert names == {"account.key", f"{HOST}.pem", "lock"}
    assert {mode(each) for each in server.folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "environment",
    [
        {"PEBBLE_WFE_NONCEREJECT": "20", "PEBBLE_AUTHZREUSE": "100"},
        {"PEBBLE_WFE_NONCEREJECT": "50", "PEBBLE_AUTHZREUSE": "0"},
        {"PEBBLE_VA_NOSLEEP": "", "PEBBLE_VA_SLEEPTIME": "3"},
    ],
    ids=["nonces-20-reuse", "nonces-50", "slow-validation"],
)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_an_unkind_authority_issues_three_times(
    pebble: Pebble, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Refused nonces, reused authorizations and slow validations only cost time."""
    pebble.environment = environment
    pebble.start()
    server = Server(pebble, tmp_path / "ssl")
    await server.start()
    try:
        before = None
        for _ in range(3):
            await server.certified(before)
            before = server.serial
            (server.folder / f"{HOST}.pem").unlink()
            await server.bot.reload()
    finally:
        await server.stop()


def handshake_alert(port: int) -> str:
    """Return the error a client meets in its handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=HOST):
                return ""
        except ssl.SSLError as error:
            return str(error.reason)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_an_absent_authority_delays_only_the_certificate(
    pebble: Pebble, tmp_path: Path
) -> None:
    """With the CA down the server runs, refuses handshakes cleanly, and is certified later."""
    server = Server(pebble, tmp_path / "ssl")
    await server.start()
    try:
        await server.bot.issuing.when_certs_valid()
        assert server.serial is None
        alert = await deferToThread(handshake_alert, pebble.tls_port)
        assert alert == "SSLV3_ALERT_HANDSHAKE_FAILURE"
        pebble.start()
        # SIGHUP's action ends the wait of a minute or so.
        await server.bot.reload()
        await server.certified()
    finally:
        await server.stop()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_forgotten_account_is_made_again(pebble: Pebble, tmp_path: Path) -> None:
    """A CA that knows neither account nor nonce nor order any more issues the next certificate."""
    pebble.start()
    server = Server(pebble, tmp_path / "ssl")
    await server.start()
    try:
        await server.certified()
        before = server.serial
        pebble.stop()
        pebble.start()
        (server.folder / f"{HOST}.pem").unlink()
        await server.bot.reload()
        await server.certified(before, seconds=20)
    finally:
        await server.stop()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_restart_serves_from_disk_without_the_authority(
    pebble: Pebble, tmp_path: Path
) -> None:
    """A certificate on disk serves before the first turn of the reactor; the CA is not asked."""
    pebble.start()
    first = Server(pebble, tmp_path / "ssl")
    await first.start()
    await first.certified()
    root = await deferToThread(pebble.root)
    await first.stop()
    pebble.stop()
    calls: list[Any] = []
    with socket.create_server(("127.0.0.1", pebble.port)) as silent:
        silent.setblocking(False)
        again = Server(pebble, tmp_path / "ssl")
        await again.start()
        try:
            assert again.serial == first.serial
            answer = await deferToThread(get, pebble.tls_port, root)
            assert answer.endswith(b"hello")
            await task.deferLater(CLOCK, 0.5)
            with pytest.raises(BlockingIOError):
                calls.append(silent.accept())
        finally:
            await again.stop()


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_damaged_file_counts_as_no_certificate(
    pebble: Pebble, tmp_path: Path, content: bytes
) -> None:
    """What cannot be read on disk is replaced by a new certificate."""
    pebble.start()
    folder = tmp_path / "ssl"
    folder.mkdir()
    (folder / f"{HOST}.pem").write_bytes(content)
    server = Server(pebble, folder)
    await server.start()
    try:
        await server.certified()
    finally:
        await server.stop()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_stopping_does_not_wait_for_the_authority(pebble: Pebble, tmp_path: Path) -> None:
    """A stop in the middle of a validation takes less than a second and leaves no challenge."""
    pebble.environment = {"PEBBLE_VA_NOSLEEP": "", "PEBBLE_VA_SLEEPTIME": "30"}
    pebble.start()
    server = Server(pebble, tmp_path / "ssl")
    await server.start()
    for _ in range(200):
        if server.bot.pending.file(HOST).exists():
            break
        await task.deferLater(CLOCK, 0.05)
    assert server.bot.pending.file(HOST).exists()
    start = time.monotonic()
    await server.stop()
    assert time.monotonic() - start < 1
    assert not server.bot.pending.file(HOST).exists()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_processes_that_share_a_folder_take_turns(pebble: Pebble, tmp_path: Path) -> None:
    """One asks, any answers the challenge, all serve the result, and the next leads after it."""
    pebble.start()
    leader = Server(pebble, tmp_path / "ssl", tls=False, http01=False)
    follower = Server(pebble, tmp_path / "ssl", http01=False)
    await leader.start()
    await follower.start()
    try:
        assert (leader.bot.issuing is None, follower.bot.issuing is None) == (False, True)
        await leader.certified()
        await follower.certified(seconds=10)
        assert follower.serial == leader.serial
        await leader.stop()
        for _ in range(100):
            if follower.bot.issuing is not None:
                break
            await task.deferLater(CLOCK, 0.05)
        (follower.folder / f"{HOST}.pem").unlink()
        before = follower.serial
        await follower.bot.reload()
        await follower.certified(before)
    finally:
        await follower.stop()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_client_certificates_are_required_beside_acme(pebble: Pebble, tmp_path: Path) -> None:
    """The CA's probe needs no client certificate; everybody else does, during it as well."""
    authority = pki.authority("clients")
    certificate, key = pki.issue(authority, "owner", usages=(pki.CLIENT,)).write(tmp_path, "owner")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    pebble.start()
    server = Server(pebble, tmp_path / "ssl", http01=False, authorities=tmp_path / "ca.pem")
    await server.start()
    try:
        await server.certified()
        root = await deferToThread(pebble.root)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            await deferToThread(get, pebble.tls_port, root)
        shown = (str(certificate), str(key))
        answer = await deferToThread(get, pebble.tls_port, root, "/", shown)
        assert answer.endswith(b"hello")
    finally:
        await server.stop()


@dataclass
class Load:
    """Clients of a port: new connections, one that is kept, and slow requests in flight."""

    port: int
    root: str
    stopping: threading.Event = field(default_factory=threading.Event)
    served: dict[str, int] = field(default_factory=lambda: {"new": 0, "kept": 0, "slow": 0})
    failures: list[str] = field(default_factory=list)
    serials: set[int] = field(default_factory=set)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for work in (self.new, self.new, self.kept, self.slow, self.slow):
            thread = threading.Thread(target=self._forever, args=(work,))
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _forever(self, work: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            try:
                work()
            except OSError as error:
                self.failures.append(f"{work.__name__}: {error!r}")

    def new(self) -> None:
        assert get(self.port, self.root).endswith(b"hello")
        self.served["new"] += 1
        time.sleep(0.005)

    def slow(self) -> None:
        assert get(self.port, self.root, "/slow").endswith(b"slow")
        self.served["slow"] += 1

    def kept(self) -> None:
        context = ssl.create_default_context(cadata=self.root)
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as wrapped,
        ):
            while not self.stopping.is_set():
                wrapped.sendall(b"GET / HTTP/1.1\r\nHost: kms\r\n\r\n")
                answer = b""
                while not answer.endswith(b"hello"):
                    more = wrapped.recv(4096)
                    if not more:
                        raise OSError("the kept connection was closed")
                    answer += more
                self.served["kept"] += 1
                time.sleep(0.02)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_short_lived_certificates_are_renewed_under_load(
    pebble: Pebble, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """30-second certificates change three times on the serving port; no request fails."""
    pebble.lifetime_seconds = 30
    pebble.environment = {"PEBBLE_WFE_NONCEREJECT": "20"}
    pebble.start()
    server = Server(pebble, tmp_path / "ssl", http01=False)
    await server.start()
    serials = []
    try:
        await server.certified()
        load = Load(pebble.tls_port, await deferToThread(pebble.root))
        load.start()
        try:
            for _ in range(3):
                serials.append(server.serial)
                await server.certified(serials[-1])
            await task.deferLater(CLOCK, 1)
        finally:
            await deferToThread(load.stop)
    finally:
        await server.stop()
    record_property("served", load.served)
    print(f"renewals: {len(serials)}, served: {load.served}, failed: {len(load.failures)}")  # noqa: T201
    assert load.failures == []
    assert all(count > 5 for count in load.served.values())
    assert len(set(serials)) == 3


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_reload_changes_the_authorities_beside_acme(pebble: Pebble, tmp_path: Path) -> None:
    """SIGHUP's action takes up another file of authorities; a bad one leaves the old in force."""
    one, two = pki.authority("one"), pki.authority("two")
    (tmp_path / "ca.pem").write_bytes(one.pem)
    server = Server(pebble, tmp_path / "ssl", http01=False, authorities=tmp_path / "ca.pem")
    await server.start()
    assert server.secure is not None
    service: Any = server.secure.service
    try:
        for content, expected in [(two.pem, two), (b"junk", two), (one.pem, one)]:
            (tmp_path / "ca.pem").write_bytes(content)
            await service.reload()
            trusted = server.secure.tls.authorities
            assert trusted is not None
            assert trusted.certificates == (expected.certificate,)
    finally:
        await server.stop()


def test_the_documented_command_is_certified(pebble: Pebble, tmp_path: Path) -> None:
    """`twistd kmsd --use-certbot …` of the product's document answers over HTTPS, and restarts."""
    pebble.start()
    root = pebble.root()
    command = [
        str(Path(sys.executable).with_name("twistd")),
        "--nodaemon",
        "--pidfile=",
        "kmsd",
        "--database-type=sqlite",
        f"--root-data-path={tmp_path / 'root'}",
        "--hostname=127.0.0.1",
        f"--port={pebble.tls_port}",
        "--use-certbot",
        f"--certbot-server-name={HOST}",
        "--certbot-email=admin@example.test",
        f"--certbot-directory-url={pebble.directory_url}",
        f"--certbot-directory-ca-file={pebble.ca}",
        f"--certbot-http-port={pebble.http_port}",
    ]
    for _ in range(2):
        with (tmp_path / "kmsd.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
        try:
            answer = get_patiently(pebble.tls_port, root, "/version")
            assert b"200 OK" in answer, (tmp_path / "kmsd.log").read_text()
        finally:
            process.terminate()
            assert process.wait(15) == 0
        # The second start has the certificate on disk and needs nobody.
        pebble.stop()
    assert mode(tmp_path / "root/certbot-ssl" / f"{HOST}.pem") == 0o600


def get_patiently(port: int, root: str, path: str) -> bytes:
    """GET, trying until there is a port with a certificate."""
    for _ in range(200):
        try:
            return get(port, root, path)
        except OSError:
            time.sleep(0.1)
    return b""
