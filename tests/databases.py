"""Database servers that tests start: on loopback, in temporary folders, gone afterwards.

Neither server runs as root, so root starts them as the system users of their Debian packages.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import psycopg2
import pymysql
import pytest

S = TypeVar("S", bound="Server")

_START_SECONDS = 60.0
_PLACES = [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/sbin", "/usr/bin"]
_numbers = itertools.count(1)

PASSWORD = "p%40ss%3Aw%2Frd"  # as a URL spells it, so that every test reads escapes
_PLAIN_PASSWORD = "p@ss:w/rd"


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    return found or pytest.skip(f"needs the program {name}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A database server in a folder of its own, as a process that a test may hurt."""

    account = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kmsd-test-", dir="/tmp"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            shutil.chown(self.folder, self.account, pwd.getpwnam(self.account).pw_gid)

    def _owner(self) -> dict[str, object]:
        if os.getuid() != 0:
            return {}
        entry = pwd.getpwnam(self.account)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _run(self, *command: str) -> None:
        done = subprocess.run(  # type: ignore[call-overload]
            command, cwd=self.folder, capture_output=True, check=False, **self._owner()
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        raise NotImplementedError

    def keep(self, name: str, content: bytes) -> Path:
        """Write a private file that the server can read."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(path, self.account)
        return path

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                self.command(), cwd=self.folder, stdout=log, stderr=log, **self._owner()
            )
        give_up = time.monotonic() + _START_SECONDS
        while not self.answers():
            assert time.monotonic() < give_up, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def send(self, number: int) -> None:
        """Send the server a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server and wait for it."""
        if self.process is not None:
            self.send(signal.SIGCONT)
            self.send(number)
            self.process.wait(60)
            self.process = None

    def remove(self) -> None:
        """End the server and delete its folder."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_url(self) -> str:
        """Make an empty database and return its URL."""
        raise NotImplementedError


class PostgreSQL(Server):
    """PostgreSQL, with the user `kmsd`; `options` are added to its command line."""

    account = "postgres"

    def __init__(self) -> None:
        program("postgres")
        super().__init__()
        self.options: list[str] = []
        passwords = self.folder / "password"
        passwords.write_text(_PLAIN_PASSWORD)
        passwords.chmod(0o644)
        self._run(
            program("initdb"), "--pgdata=data", "--auth=scram-sha-256", "--pwfile=password",
            "--username=kmsd", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",  # the tests kill the server, not the machine
        }
        pairs = [f"--{name}={value}" for name, value in options.items()]
        return [program("postgres"), "-D", "data", *pairs, *self.options]

    def url(self, database: str) -> str:
        return f"postgresql://kmsd:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)

    def new_url(self) -> str:
        name = f"kmsd{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


class MariaDB(Server):
    """MariaDB, with the user `kmsd`; `options` are added to its command line."""

    account = "mysql"

    def __init__(self) -> None:
        program("mariadbd")
        super().__init__()
        self.options: list[str] = []
        self._run(
            program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder / 'data'}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        return [
            program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}",
            "--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder / 's'}",
            f"--pid-file={self.folder / 'pid'}", "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=64M", *self.options,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self._administrator().close()
        except pymysql.Error:
            return False
        return True

    def _administrator(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(unix_socket=str(self.folder / "s"), user="root", autocommit=True)

    def execute(self, statement: str, values: Sequence[object] = ()) -> None:
        """Run a statement as the administrator."""
        with contextlib.closing(self._administrator()) as connection:
            connection.cursor().execute(statement, values)

    def new_url(self) -> str:
        name = f"kmsd{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        self.execute("CREATE USER IF NOT EXISTS kmsd@'%%' IDENTIFIED BY %s", (_PLAIN_PASSWORD,))
        self.execute(f"GRANT ALL ON {name}.* TO kmsd@'%%'")
        return f"mysql://kmsd:{PASSWORD}@127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def running(server: S) -> Iterator[S]:
    """Start a server; remove it afterwards."""
    try:
        server.start()
        yield server
    finally:
        server.remove()
