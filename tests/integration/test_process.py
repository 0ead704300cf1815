"""The process: what twistd shows, how it fails to start, and how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TWISTD, Kmsd, StartKmsd, clean_environment

TAC = str(REPOSITORY / "kmsd.tac")
Completed = subprocess.CompletedProcess[str]


def twistd(folder: Path, *words: str, **variables: str) -> Completed:
    """Run twistd to its end; `-n` or not is the caller's choice."""
    return subprocess.run(
        [TWISTD, *words],
        cwd=folder,
        env=clean_environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def started(folder: Path, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run twistd in the foreground until it listens, and stop it when the block ends."""
    process = subprocess.Popen(
        [TWISTD, *words],
        cwd=folder,
        env=clean_environment(folder) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as out:
        lines = []
        listening = False
        while not listening and (line := out.readline()):
            lines.append(line)
            listening = "listening on http://127.0.0.1:" in line
        try:
            assert listening, lines
            yield process
        finally:
            process.terminate()
            out.read()
            process.wait(20)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def one_line(completed: Completed, status: int) -> str:
    """Check that the process left with `status` and one line on stderr; return the line."""
    assert (completed.returncode, completed.stdout) == (status, ""), completed
    (line,) = completed.stderr.splitlines()
    assert line.startswith("kmsd: ")
    return line


# What it shows


def test_help_shows_options_and_no_secret(tmp_path: Path) -> None:
    shown = twistd(tmp_path, "kmsd", "--help")
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "--port <PORT>" in shown.stdout
    assert "[env: KMS_ROOT_DATA_PATH]" in shown.stdout


def test_the_list_of_plugins_imports_nothing_of_ours() -> None:
    """`twistd --help` of any program that shares the environment stays quick."""
    program = (
        "import sys; from twisted.scripts.twistd import ServerOptions;"
        "print('kmsd.app' in sys.modules);"
        "print([p for p in ServerOptions().subCommands if p[0] == 'kmsd'][0][3]);"
        "print('kmsd.app' in sys.modules)"
    )
    python = str(TWISTD.with_name("python"))
    run = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:3] == ["False", "A key management server (KMIP 2.1).", "False"]


def test_version_is_printed(tmp_path: Path) -> None:
    assert re.fullmatch(r"kmsd \d+\.\d+\.\d+\n", twistd(tmp_path, "kmsd", "--version").stdout)


def test_info_shows_each_value_with_its_origin(tmp_path: Path) -> None:
    shown = twistd(tmp_path, "kmsd", "--info", "--port=1", KMS_DEFAULT_USERNAME="ann")
    assert shown.returncode == 0
    assert re.search(r"^port = 1 +# --port$", shown.stdout, re.MULTILINE)
    assert re.search(
        r'^default_username = "ann" +# KMS_DEFAULT_USERNAME$', shown.stdout, re.MULTILINE
    )
    assert re.search(r"^clear_database = false +# default$", shown.stdout, re.MULTILINE)
    assert not (tmp_path / "cosmian-kms").exists()


def test_the_sample_file_is_printed(tmp_path: Path) -> None:
    shown = twistd(tmp_path, "kmsd", "--print-default-config")
    assert (shown.returncode, shown.stdout[:6]) == (0, "[http]")


# How it fails


@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "nodaemon"])
def test_a_bad_option_is_one_line_and_status_2(tmp_path: Path, daemon: bool) -> None:  # noqa: FBT001
    run = twistd(tmp_path, *([] if daemon else ["-n"]), "kmsd", "--port=http")
    assert one_line(run, 2) == "kmsd: --port: 'http' is not a whole number from 0 to 65535"


@pytest.mark.parametrize("words", [["-n"], []], ids=["nodaemon", "daemon"])
@pytest.mark.parametrize("what", [["kmsd"], ["--python", TAC]], ids=["plugin", "tac"])
def test_a_bad_variable_is_one_line_and_status_2(
    tmp_path: Path, words: list[str], what: list[str]
) -> None:
    line = one_line(twistd(tmp_path, *words, *what, KMS_LOG_FORMAT="xml"), 2)
    assert line == "kmsd: KMS_LOG_FORMAT: 'xml' is not one of text, json"


def test_a_bad_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "kms.toml").write_text("[http]\nprot = 1\n")
    line = one_line(twistd(tmp_path, "-n", "kmsd", "-c", "kms.toml"), 2)
    assert line == "kmsd: kms.toml: http.prot: no such option; did you mean port?"


@pytest.mark.parametrize("words", [["-n"], []], ids=["nodaemon", "daemon"])
def test_a_taken_port_is_one_line_and_status_1(
    tmp_path: Path, taken: int, words: list[str]
) -> None:
    run = twistd(tmp_path, *words, "kmsd", "--hostname=127.0.0.1", f"--port={taken}")
    assert f"cannot listen on 127.0.0.1:{taken}: address already in use" in one_line(run, 1)
    assert not (tmp_path / "twistd.pid").exists()


@pytest.mark.parametrize("words", [["-n"], []], ids=["nodaemon", "daemon"])
def test_a_taken_port_stops_the_tac_alike(tmp_path: Path, taken: int, words: list[str]) -> None:
    run = twistd(tmp_path, *words, "--python", TAC, KMS_HOSTNAME="127.0.0.1", KMS_PORT=str(taken))
    assert f"127.0.0.1:{taken}: address already in use" in one_line(run, 1)


@pytest.mark.parametrize("words", [["-n"], []], ids=["nodaemon", "daemon"])
def test_a_folder_that_cannot_be_made_is_one_line_and_status_1(
    tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "file").touch()
    run = twistd(tmp_path, *words, "kmsd", "--port=0", "--root-data-path", str(tmp_path / "file"))
    assert str(tmp_path / "file") in one_line(run, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user without rights")
def test_a_folder_without_permission_is_one_line_and_status_1(tmp_path: Path) -> None:
    """twistd's --uid takes effect before a folder is made, so the failure shows at the start."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    run = twistd(
        tmp_path, "-n", "--uid=65534", "kmsd", "--port=0", f"--root-data-path={closed / 'data'}"
    )
    assert "ermission denied" in one_line(run, 1)


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "tcp:x", "unix:/nowhere/at/all", "ssl:0:privateKey=/nowhere"]
)
def test_a_bad_endpoint_is_one_line_and_status_1(tmp_path: Path, endpoint: str) -> None:
    line = one_line(twistd(tmp_path, "-n", "kmsd", f"--endpoint={endpoint}"), 1)
    assert endpoint in line


def test_a_log_file_that_cannot_be_written_is_one_line_and_status_1(tmp_path: Path) -> None:
    run = twistd(tmp_path, "--logfile=/nowhere/kmsd.log", "kmsd", "--port=0")
    assert "/nowhere/kmsd.log" in one_line(run, 1)


def test_a_pid_file_that_cannot_be_written_is_one_line_and_status_1(tmp_path: Path) -> None:
    run = twistd(tmp_path, "-n", "--pidfile=/nowhere/kmsd.pid", "kmsd", "--port=0")
    assert "cannot write /nowhere/kmsd.pid" in one_line(run, 1)


# How it runs and stops


def test_it_answers_with_its_version(kmsd_process: Kmsd) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+ \(OpenSSL .+\)", json.loads(kmsd_process.get("/version")))


def test_its_files_are_for_nobody_else(kmsd_process: Kmsd) -> None:
    """Folders are 0700 and files 0600, whatever umask the server was started with."""
    made = [kmsd_process.folder / "sqlite-data", *(kmsd_process.folder / "sqlite-data").iterdir()]
    assert (kmsd_process.folder / "sqlite-data" / "kms.db") in made
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_it_makes_no_core_dump(kmsd_process: Kmsd) -> None:
    limits = Path(f"/proc/{kmsd_process.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)


def test_other_programs_of_its_user_cannot_read_its_memory(kmsd_process: Kmsd) -> None:
    """A process that cannot be dumped has its /proc files owned by root."""
    assert Path(f"/proc/{kmsd_process.process.pid}/environ").stat().st_uid == 0


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_sigterm_ends_it_with_status_0(kmsd_process: Kmsd, number: int) -> None:
    assert kmsd_process.stop(number) == 0
    assert "stopped" in kmsd_process.output()


def test_a_request_in_flight_at_sigterm_is_answered(kmsd_process: Kmsd) -> None:
    """The server stops accepting, waits for the rest of a request it has begun, and answers it."""
    with socket.create_connection(("127.0.0.1", kmsd_process.port), timeout=10) as client:
        body = b'{"tag":"Query","type":"Structure","value":[]}'
        head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: kms\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body[:10])
        time.sleep(0.3)
        kmsd_process.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", kmsd_process.port), timeout=10).close()
        client.sendall(body[10:])
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    assert kmsd_process.process.wait(10) == 0


def test_a_request_that_never_ends_does_not_hold_up_the_stop(start_kmsd: StartKmsd) -> None:
    kmsd = start_kmsd("--shutdown-timeout-seconds=0.5")
    with socket.create_connection(("127.0.0.1", kmsd.port), timeout=10) as client:
        client.sendall(b"POST /kmip/2_1 HTTP/1.1\r\nHost: kms\r\nContent-Length: 99\r\n\r\n{")
        time.sleep(0.3)
        begun = time.monotonic()
        assert kmsd.stop() == 0
    assert time.monotonic() - begun < 5


def test_an_idle_connection_does_not_hold_up_the_stop(kmsd_process: Kmsd) -> None:
    with socket.create_connection(("127.0.0.1", kmsd_process.port), timeout=10) as client:
        client.sendall(b"GET /version HTTP/1.1\r\nHost: kms\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        begun = time.monotonic()
        assert kmsd_process.stop() == 0
    assert time.monotonic() - begun < 5


def test_it_starts_again_on_its_own_data(start_kmsd: StartKmsd) -> None:
    assert start_kmsd().stop() == 0
    assert start_kmsd().get("/health")


def test_relative_folders_are_below_home(tmp_path: Path) -> None:
    """As the document has it, data goes to ~/cosmian-kms/sqlite-data wherever twistd is started."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = ("--port=0", "--hostname=127.0.0.1")
    with started(elsewhere, "-n", "--pidfile=", "kmsd", *place, HOME=str(tmp_path)):
        pass
    assert (tmp_path / "cosmian-kms" / "sqlite-data" / "kms.db").exists()
    assert not list(elsewhere.iterdir())


def test_listening_for_other_machines_is_warned_of(start_kmsd: StartKmsd) -> None:
    open_to_all = start_kmsd("--endpoint=tcp:0:interface=127.0.0.1", "--endpoint", "tcp:0")
    assert "INSECURE: http://0.0.0.0:" in open_to_all.output()


def test_listening_on_loopback_is_not_warned_of(kmsd_process: Kmsd) -> None:
    assert "INSECURE" not in kmsd_process.output()


def test_a_misspelt_variable_is_warned_of(start_kmsd: StartKmsd) -> None:
    kmsd = start_kmsd(KMS_DEFAULT_USER_NAME="ann")
    assert "variable KMS_DEFAULT_USER_NAME is not used" in kmsd.output()


def test_the_log_can_be_json_lines(start_kmsd: StartKmsd) -> None:
    """Each line is an object with time, level, namespace and message."""
    kmsd = start_kmsd("--log-format=json")
    events = [json.loads(line) for line in kmsd.output().splitlines()]
    assert len(events) > 2
    for event in events:
        assert event.keys() >= {"time", "level", "namespace", "message"}
    (listening,) = [e for e in events if e["message"].startswith("listening on")]
    assert listening["level"] == "info"
    assert listening["url"] == kmsd.url


def test_the_log_level_silences_what_is_below(start_kmsd: StartKmsd) -> None:
    """Only warnings show; the port is known from the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folder = start_kmsd().folder
    process = subprocess.Popen(
        [TWISTD, "-n", "--pidfile=", "kmsd", f"--port={port}", "--log-level=warn"],
        cwd=folder,
        env=clean_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    rest = process.stdout.read()
    process.stdout.close()
    process.wait(10)
    assert "#warn] INSECURE" in first
    assert rest == ""


# As a daemon


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return path.read_text()


def stopped(folder: Path) -> str:
    """Stop the daemon whose files are in `folder`; return its log."""
    os.kill(int(wait_for(folder / "twistd.pid")), signal.SIGTERM)
    deadline = time.monotonic() + 20
    while (folder / "twistd.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (folder / "twistd.pid").exists()
    return (folder / "twistd.log").read_text()


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize("what", [["kmsd"], ["--python", TAC]], ids=["plugin", "tac"])
def test_a_daemon_detaches_when_it_listens_and_logs_to_its_file(
    tmp_path: Path,
    as_json: bool,  # noqa: FBT001
    what: list[str],
) -> None:
    variables = {"KMS_HOSTNAME": "127.0.0.1", "KMS_PORT": "0"}
    if as_json:
        variables["KMS_LOG_FORMAT"] = "json"
    run = twistd(tmp_path, *what, **variables)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    deadline = time.monotonic() + 20
    found = None
    while not found and time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", wait_for(tmp_path / "twistd.log"))
    assert found
    with socket.create_connection(("127.0.0.1", int(found[1])), timeout=10) as client:
        client.sendall(b"GET /version HTTP/1.1\r\nHost: kms\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
    log = stopped(tmp_path)
    assert "stopped" in log
    assert log.startswith("{") == as_json
    assert stat.S_IMODE((tmp_path / "twistd.log").stat().st_mode) == 0o600


def test_sigusr1_begins_a_new_log_file(tmp_path: Path) -> None:
    """As with twistd's own log."""
    assert twistd(tmp_path, "kmsd", "--port=0", "--hostname=127.0.0.1").returncode == 0
    os.kill(int(wait_for(tmp_path / "twistd.pid")), signal.SIGUSR1)
    assert "kmsd" in wait_for(tmp_path / "twistd.log.1")
    stopped(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_it_runs_as_the_user_that_twistd_names(open_folder: Path) -> None:
    """With --uid the files belong to that user, as does the process."""
    data = open_folder / "theirs"
    data.mkdir()
    os.chown(data, 65534, 65534)
    place = ["--port=0", "--hostname=127.0.0.1", f"--root-data-path={data}"]
    with started(open_folder, "-n", "--pidfile=", "--uid=65534", "kmsd", *place) as process:
        status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^Uid:(\t65534){4}$", status, re.MULTILINE)
    assert (data / "sqlite-data" / "kms.db").stat().st_uid == 65534


def test_the_tac_runs_in_the_foreground(tmp_path: Path) -> None:
    variables = {"KMS_PORT": "0", "KMS_HOSTNAME": "127.0.0.1"}
    with started(tmp_path, "-ny", TAC, "--pidfile=", **variables) as process:
        assert process.poll() is None
    assert process.returncode == 0
