"""A server that is mistreated over HTTP stays small, fast to others and alive.

One real `twistd kmsd` for all of it, asked over plain sockets. Every test is bounded in time and
count; at the end the server must stop with exit status 0 and without a traceback in its log.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TWISTD, Kmsd, StartKmsd, clean_environment

pytestmark = pytest.mark.slow

BODY_LIMIT = 1 << 20
CONNECTIONS = 300
OPTIONS = (
    f"--max-body-bytes={BODY_LIMIT}",
    f"--max-http-connections={CONNECTIONS}",
    "--header-timeout-seconds=3",
    "--idle-timeout-seconds=4",
)
MEBIBYTE = 1 << 20
GET = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"


class Process(Kmsd):
    """A running server that is watched from outside."""

    @property
    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@pytest.fixture(scope="module")
def kmsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("abused")
    place = ("--hostname=127.0.0.1", "--port=0", f"--root-data-path={folder}")
    log = folder / "kmsd.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [TWISTD, "--nodaemon", "--pidfile=", "kmsd", *place, *OPTIONS],
            cwd=folder,
            env=clean_environment(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    process = Process(popen, folder, log)
    try:
        process.wait_until_it_answers()
        yield process
    finally:
        code = process.stop()
    assert code == 0
    assert "Traceback" not in process.output()


def read_to_end(sock: socket.socket) -> bytes:
    """Return all that comes until the server closes; a reset ends it as well."""
    received = b""
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def send_until_refused(sock: socket.socket, chunk: bytes, total: int) -> int:
    """Send up to `total` bytes; return how many went out before the server closed."""
    sent = 0
    try:
        while sent < total:
            sock.sendall(chunk)
            sent += len(chunk)
    except (ConnectionError, TimeoutError):
        pass
    return sent


def exchange(process: Process, data: bytes) -> bytes:
    """Send, and return all that comes back until the server closes."""
    with process.connect() as sock:
        sock.sendall(data)
        return read_to_end(sock)


def still_well(process: Process) -> float:
    """Return how long a decent request takes, in seconds."""
    started = time.monotonic()
    answer = exchange(process, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    return time.monotonic() - started


@pytest.fixture(autouse=True)
def unharmed(kmsd: Process) -> Iterator[None]:
    """After every test the server answers, and has not grown by more than 50 MiB."""
    before = kmsd.resident_bytes
    yield
    still_well(kmsd)
    assert kmsd.resident_bytes - before < 50 * MEBIBYTE


# Slowness


def trickle(socks: list[socket.socket], until: float) -> None:
    """Send one byte a second on each connection, until time is up or it is closed."""
    while time.monotonic() < until:
        for sock in socks:
            try:
                sock.send(b"a")
            except OSError:
                continue
        time.sleep(1)


def closed_within(sock: socket.socket, seconds: float) -> bool:
    sock.settimeout(seconds)
    try:
        read_to_end(sock)
    except TimeoutError:
        return False
    return True


def slow_connections(process: Process, start: bytes, seconds: float) -> tuple[bool, list[float]]:
    """Trickle on 200 connections; tell whether all were closed, and how others fared meanwhile."""
    socks = [process.connect() for _ in range(200)]
    for sock in socks:
        sock.sendall(start)
    until = time.monotonic() + seconds
    trickling = threading.Thread(target=trickle, args=(socks, until))
    trickling.start()
    times = []
    while time.monotonic() < until:
        times.append(still_well(process))
        time.sleep(0.05)
    trickling.join()
    closed = all(closed_within(sock, 1) for sock in socks)
    for sock in socks:
        sock.close()
    return closed, times


def test_slow_headers_are_cut_off_and_harm_nobody(kmsd: Process) -> None:
    closed, times = slow_connections(kmsd, b"GET /version HTTP/1.1\r\nHost: x\r\nA: ", 8)
    assert closed
    assert statistics.median(times) < 0.25
    assert max(times) < 2


def test_slow_bodies_are_cut_off_and_harm_nobody(kmsd: Process) -> None:
    head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n"
    closed, times = slow_connections(kmsd, head, 15)
    assert closed
    assert statistics.median(times) < 0.25
    assert max(times) < 2


def test_connections_that_say_nothing_are_closed(kmsd: Process) -> None:
    socks = [kmsd.connect() for _ in range(50)]
    assert all(closed_within(sock, 8) for sock in socks)
    for sock in socks:
        sock.close()


def test_connections_over_the_limit_are_closed_and_leave_room_again(kmsd: Process) -> None:
    socks = [kmsd.connect() for _ in range(CONNECTIONS + 20)]
    assert sum(closed_within(sock, 0.05) for sock in socks) >= 20
    for sock in socks:
        sock.close()
    time.sleep(0.5)
    still_well(kmsd)


def test_a_client_that_never_reads_is_soon_not_read_from(kmsd: Process) -> None:
    """The answers to its pipeline would pile up in memory; in the end it is cut off."""
    with kmsd.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(3)
        sent = send_until_refused(sock, GET * 1000, 200 * MEBIBYTE)
        assert sent < 20 * MEBIBYTE
        time.sleep(5)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


# Sizes and lengths


@pytest.mark.parametrize(
    "length",
    [str(BODY_LIMIT + 1), "1" + 14 * "0", "9" * 19, "9" * 5000],
    ids=len,
)
def test_a_length_over_the_limit_is_refused_at_once(kmsd: Process, length: str) -> None:
    digits = length.encode()
    started = time.monotonic()
    with kmsd.connect() as sock:
        sock.sendall(
            b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: " + digits + b"\r\n\r\n"
        )
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - started < 1


def test_a_gibibyte_is_not_taken_in(kmsd: Process) -> None:
    with kmsd.connect() as sock:
        head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1 << 30)
        sock.sendall(head)
        started = time.monotonic()
        send_until_refused(sock, b"x" * MEBIBYTE, 1 << 30)
        assert time.monotonic() - started < 10


def test_endless_chunks_end(kmsd: Process) -> None:
    with kmsd.connect() as sock:
        sock.sendall(b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        sock.sendall(chunk * (BODY_LIMIT // 0x10000 + 1))
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_the_answer_arrives_although_the_client_is_still_sending(kmsd: Process) -> None:
    """Closing at once would reset the connection and lose the answer."""
    with kmsd.connect() as sock:
        sock.sendall(b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        sock.sendall(b"x" * 2_000_000)
        time.sleep(0.5)
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_shorter_than_its_length_is_no_request(kmsd: Process) -> None:
    with kmsd.connect() as sock:
        sock.sendall(b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{}")
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock) == b""


def test_a_body_longer_than_its_length_is_another_request_and_no_good_one(kmsd: Process) -> None:
    answer = exchange(
        kmsd, b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}{}{}\r\n\r\n"
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"422", b"400"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /version HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 64_000,
        b"GET /version HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 10_000_000,
        b"GET /version HTTP/1.1\r\nHost: x\r\n" + (b"A: " + b"a" * 5000 + b"\r\n") * 99,
    ],
    ids=["many", "long", "large together"],
)
def test_headers_beyond_reason_are_refused(kmsd: Process, head: bytes) -> None:
    with kmsd.connect() as sock:
        send_until_refused(sock, head + b"\r\n", 1)
        assert sock.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_an_endless_address_is_refused(kmsd: Process) -> None:
    with kmsd.connect() as sock:
        send_until_refused(sock, b"GET /" + b"a" * 1_000_000, 1)
        assert sock.recv(65536).startswith(b"HTTP/1.1 414 ")


def test_compression_is_refused(kmsd: Process) -> None:
    head = (
        b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"
    )
    assert exchange(kmsd, head).startswith(b"HTTP/1.1 415 ")


def test_expect_100_continue_is_answered_in_both_ways(kmsd: Process) -> None:
    head = (
        b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    )
    with kmsd.connect() as sock:
        sock.sendall(head % 2)
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(65536).startswith(b"HTTP/1.1 422 ")
    with kmsd.connect() as sock:
        sock.sendall(head % (BODY_LIMIT + 1))
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


# Smuggling and pipelining

SMUGGLING = {
    "CL.TE": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST",
    "CL.CL": b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "TE identity": b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "TE with a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "TE folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "blank before the colon": b"Content-Length : 0\r\n\r\n",
    "bare LF": b"A: b\nContent-Length: 40\r\n\r\n",
    "bare CR": b"A: b\rContent-Length: 40\r\n\r\n",
    "NUL": b"A: b\0\r\nContent-Length: 0\r\n\r\n",
    "chunk extension with LF": b"Transfer-Encoding: chunked\r\n\r\n0;\nx\r\n\r\n",
    "chunk size with sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "chunk size with prefix": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "chunk with LF": b"Transfer-Encoding: chunked\r\n\r\n1\nZ\n0\n\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_a_request_of_doubtful_length_is_the_last_on_its_connection(
    kmsd: Process, name: str
) -> None:
    smuggled = GET.replace(b"Host: x", b"Host: x\r\nX-Request-Id: smuggled")
    answer = exchange(kmsd, b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\n" + SMUGGLING[name] + smuggled)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"400"]
    assert b"smuggled" not in answer


def test_lines_that_end_in_lf_alone_are_no_lines(kmsd: Process) -> None:
    assert exchange(kmsd, GET.replace(b"\r\n", b"\n")).startswith(b"HTTP/1.1 408 ")


def test_a_header_never_splits_an_answer(kmsd: Process) -> None:
    for given in (b"a\rSet-Cookie: x", b"a\tb", b"%0d%0aSet-Cookie: x", b'"><script>'):
        request = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\nX-Request-Id: %s\r\n\r\n")
        answer = exchange(kmsd, request % given)
        assert b"Cookie" not in answer
        assert b"script" not in answer


def test_a_hostile_host_appears_nowhere(kmsd: Process) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    for path in (b"/version", b"//evil.example/version", b"/access//owned", b"/version/", b"/"):
        answer = exchange(kmsd, request % path)
        assert b"evil" not in answer
        assert b"Location" not in answer


def test_a_long_pipeline_is_answered_in_order_while_others_are_served(kmsd: Process) -> None:
    count = 20_000
    request = b"GET /version HTTP/1.1\r\nHost: x\r\nX-Request-Id: %d\r\n\r\n"
    last = b"GET /version HTTP/1.1\r\nHost: x\r\nX-Request-Id: end\r\nConnection: close\r\n\r\n"
    pipeline = b"".join(request % number for number in range(count)) + last
    with kmsd.connect() as sock:
        sending = threading.Thread(target=sock.sendall, args=(pipeline,))
        answers: list[bytes] = []
        receiving = threading.Thread(target=lambda: answers.append(read_to_end(sock)))
        sending.start()
        receiving.start()
        times = []
        while receiving.is_alive():
            times.append(still_well(kmsd))
            time.sleep(0.05)
        sending.join()
    found = re.findall(rb"X-Request-Id: (\w+)", answers[0])
    assert found == [*(b"%d" % number for number in range(count)), b"end"]
    assert max(times) < 2


def test_http_1_0_works(kmsd: Process) -> None:
    answer = exchange(kmsd, b"GET /version HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 "))
    assert b"Transfer-Encoding" not in head
    assert body.startswith(b'"')


def test_nothing_says_what_the_server_is_made_of(kmsd: Process) -> None:
    requests: dict[str, bytes] = {
        "good": b"GET /version HTTP/1.0\r\n\r\n",
        "unknown": b"GET /x HTTP/1.0\r\n\r\n",
        "bad": b"x\r\n\r\n",
        "operation": b"POST /kmip/2_1 HTTP/1.0\r\nContent-Length: 1\r\n\r\n{",
    }
    for name, request in requests.items():
        answer = exchange(kmsd, request).lower()
        for word in (b"server:", b"twisted", b"klein", b"python", b"traceback", b"/kmsd/"):
            assert word not in answer, name


# Stopping


def test_a_stop_finishes_a_request_that_is_coming_in(start_kmsd: StartKmsd) -> None:
    """Idle connections close at once, the others after their answer, and all is well."""
    body = b'{"tag":"Query","value":[]}'
    head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    started = start_kmsd()
    address = ("127.0.0.1", started.port)
    with socket.create_connection(address, 20) as sock, socket.create_connection(address) as idle:
        sock.sendall(head)
        time.sleep(0.3)
        started.process.terminate()
        assert read_to_end(idle) == b""
        sock.sendall(body)
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    assert started.process.wait(20) == 0
